"""Polygons with classes, scores and boxes, one json per image."""
import os

from tools.files import write_json


def write_polygons(path, found):
    """{"image", "height", "width", "objects": [{"class", "score", "box" (x1, y1, x2, y2),
    "polygons": [[[x, y] ..]]}]}."""
    objects = [{"class": instance.name, "score": round(instance.score, 6), "box": instance.box,
                "polygons": [ring.tolist() for ring in rings]}
               for instance, rings in zip(found, found.polygons(), strict=True)]
    image = os.path.abspath(found.source) if os.path.exists(found.source) else found.source
    write_json(path, {"image": image, "height": found.size[0], "width": found.size[1],
                      "objects": objects})
