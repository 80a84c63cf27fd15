"""The pictures of docs/own_data.md: import, a look at the data, and what a network finds.

    python -m tests.own_data_pictures --folder /tmp/own

draws 24 photographs with labelme files into FOLDER/photos and runs commands of the page there, with
the bundled quick-start weights instead of newly trained ones (they know these shapes).  What is
drawn becomes docs/own_data/checked.jpg and docs/own_data/found.jpg.
"""
import argparse
from pathlib import Path

import cv2
import numpy as np

from tests.builders import ROOT, script
from tools.data.images import read_image
from tools.data.importing.__main__ import main as import_annotations
from tools.data.masks import mask_to_polygons
from tools.data.scenes import draw_scene
from tools.files import write_json
from tools.inference.writers.image_file import write_image

PHOTOS, SIDE, SHOWN = 24, 320, 3
QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 82]


def draw_photographs(folder):
    """Photographs with labelme files; the corners lie up to a pixel beside the objects."""
    for number in range(PHOTOS):
        scene = draw_scene(np.random.default_rng([11, number]), SIDE)
        height, width = scene.owner.shape
        write_image(folder / f"{number:02d}.jpg", scene.photograph())
        shapes = []
        for index, thing in enumerate(scene.objects):
            rings = [] if thing["crowd"] else mask_to_polygons(scene.owner == index, 1.0)
            shapes += [{"label": thing["kind"], "points": ring.tolist(), "shape_type": "polygon",
                        "group_id": index if len(rings) > 1 else None, "flags": {}}
                       for ring in rings]
        write_json(folder / f"{number:02d}.json", {
            "version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": f"{number:02d}.jpg",
            "imageData": None, "imageHeight": height, "imageWidth": width})


def row(paths, target):
    """The first pictures side by side, as JPEG."""
    images = [read_image(path) for path in paths[:SHOWN]]
    images = [cv2.resize(image, (image.shape[1] * SIDE // image.shape[0], SIDE))
              for image in images]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(cv2.imencode(".jpg", np.hstack(images), QUALITY)[1].tobytes())


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, required=True, help="for the data and the run")
    folder = parser.parse_args().folder
    draw_photographs(folder / "photos")
    import_annotations([str(folder / "photos"), "--output", str(folder / "my")])
    script("tools/data/holdout.py", folder / "my/train.json", "--every", 4,
           "--output", folder / "my/split")
    script("tools/check_dataset/__main__.py", "--config=own_dataset", "--output", folder / "check",
           "-o", f"train_json={folder / 'my/split/train.json'}",
           f"train_images={folder / 'photos'}")
    script("demo.py", "--input", folder / "photos/03.jpg",
           folder / "photos/07.jpg", folder / "photos/11.jpg", "--output", folder / "results")
    row(sorted((folder / "check").rglob("*.jpg")), ROOT / "docs/own_data/checked.jpg")
    row(sorted((folder / "results").rglob("*.jpg")), ROOT / "docs/own_data/found.jpg")


if __name__ == "__main__":
    main()
