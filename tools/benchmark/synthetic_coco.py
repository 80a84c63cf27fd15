"""A json as large as COCO's, or larger, with the same proportions; its images are empty files.

Per image 7.3 annotations, of each hundred one crowd; polygons of 8 to 70 numbers with two decimals,
some of two parts.  About 3.7 KB of json per image, as in instances_train2017.json.
"""
import json
import os
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from model.instances import Instances
from tools.data.masks import masks_to_boxes, segmentation_to_mask

PER_IMAGE = 7.28                   # annotations, on average
CROWDS = 0.01
TWO_PARTS = 0.09
CLASSES = 80
HEIGHT, WIDTH = 480, 640
POOL = 4000                        # different segmentations


def write_coco(path, num_images, image_dir=None, seed=0):
    """Write a json of `num_images` images; image_dir: make an empty file there for each."""
    rng = np.random.default_rng(seed)
    pool = [segmentation(rng) for _ in range(min(POOL, 5 * num_images))]
    counts = rng.poisson(PER_IMAGE, num_images)
    number = 0
    with open(path, "w", encoding="ascii") as file:
        file.write('{"info": {"description": "synthetic"}, "licenses": [], "categories": ')
        file.write(json.dumps([{"supercategory": "thing", "id": index + 1, "name": f"class {index}"}
                               for index in range(CLASSES)]))
        file.write(', "images": [')
        for index in range(num_images):
            file.write(f'{", " * (index > 0)}{image_text(index + 1)}')
        file.write('], "annotations": [')
        for index, count in enumerate(counts.tolist()):
            for choice in rng.integers(len(pool), size=count).tolist():
                number += 1
                file.write(f'{", " * (number > 1)}{pool[choice]}"image_id": {index + 1}, '
                           f'"category_id": {choice % CLASSES + 1}, "id": {number}}}')
        file.write("]}")
    if image_dir:
        Path(image_dir).mkdir(parents=True, exist_ok=True)
        for index in range(num_images):
            Path(image_dir, f"{index + 1:012d}.jpg").touch()
    return number


def image_text(number):
    name = f"{number:012d}.jpg"
    return (f'{{"license": 3, "file_name": "{name}", "coco_url": '
            f'"http://images.cocodataset.org/train2017/{name}", "height": {HEIGHT}, "width": '
            f'{WIDTH}, "date_captured": "2013-11-14 11:18:45", "flickr_url": '
            f'"http://farm9.staticflickr.com/8186/8119368305_4e622c8349_z.jpg", "id": {number}}}')


def segmentation(rng):
    """The beginning of an annotation as text."""
    parts = [polygon(rng) for _ in range(1 + (rng.random() < TWO_PARTS))]
    rle = coco_mask.merge(coco_mask.frPyObjects(parts, HEIGHT, WIDTH))
    area, box = float(coco_mask.area(rle)), coco_mask.toBbox(rle).tolist()
    crowd = rng.random() < CROWDS
    shape = json.dumps({"counts": runs(rle), "size": [HEIGHT, WIDTH]} if crowd else parts)
    return (f'{{"segmentation": {shape}, "area": {area}, "iscrowd": {int(crowd)}, "bbox": '
            f'{json.dumps(box)}, ')


def runs(rle):
    """Uncompressed counts, as COCO writes its crowds."""
    flat = coco_mask.decode(rle).ravel(order="F")
    edges = np.flatnonzero(np.diff(flat, prepend=0))
    return np.diff(np.append(edges, len(flat)), prepend=0).tolist()


def polygon(rng):
    """A star-shaped outline of up to 70 numbers."""
    points = int(np.exp(rng.uniform(np.log(8), np.log(60))))
    angles = np.sort(rng.uniform(0, 2 * np.pi, points))
    radius = np.exp(rng.uniform(np.log(6), np.log(120))) * rng.uniform(0.6, 1, points)
    x = np.clip(rng.uniform(40, WIDTH - 40) + radius * np.cos(angles), 0, WIDTH)
    y = np.clip(rng.uniform(40, HEIGHT - 40) + radius * np.sin(angles), 0, HEIGHT)
    return np.round(np.stack([x, y], 1), 2).ravel().tolist()


def write_photographs(folder, path):
    """A file of 150 KB, as COCO's are on average, for each image that the json at `path` lists."""
    from tools.benchmark.synthetic import photograph
    jpeg = cv2.imencode(".jpg", photograph((HEIGHT, WIDTH)), [cv2.IMWRITE_JPEG_QUALITY, 95])[1]
    first, *others = (Path(folder, entry["file_name"])
                      for entry in json.loads(Path(path).read_bytes())["images"])
    first.write_bytes(jpeg)
    for place in others:
        os.link(first, place)


def synthetic_instances(per_image, count=20, seed=0):
    """`count` Instances of `per_image` masks each, random scores."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(count):
        crops = []
        for _ in range(per_image):
            mask = segmentation_to_mask([polygon(rng)], (HEIGHT, WIDTH))
            x1, y1, x2, y2 = masks_to_boxes(mask[None])[0].astype(int)
            crops.append((y1, x1, mask[y1:y2, x1:x2]))
        found.append(Instances(-np.sort(-rng.random(per_image)),
                               rng.integers(CLASSES, size=per_image), crops, (HEIGHT, WIDTH)))
    return found


def synthetic_results(dataset, per_image, seed=0):
    """COCO result dicts: `per_image` shifted objects of other images for each, random scores."""
    rng = np.random.default_rng(seed)
    truth = dataset.ground_truth()
    results = []
    for image_id, (height, width) in zip(truth.image_ids, truth.sizes.tolist(), strict=True):
        for choice in rng.integers(len(truth.rles), size=per_image).tolist():
            rle = truth.rles[choice]
            results.append({
                "image_id": image_id, "category_id": truth.category_ids[truth.classes[choice]],
                "segmentation": {"size": [height, width], "counts": rle["counts"]},
                "bbox": truth.boxes[choice].tolist(), "score": float(rng.random())})
    return results
