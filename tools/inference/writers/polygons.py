"""Polygons with classes, scores and boxes, one json per image."""
import os

from tools.files import write_json


def write_polygons(output, source, size, objects):
    """<output>.polygons.json: {"image", "height", "width", "objects": see `found_objects`}."""
    content = {"image": os.path.abspath(source), "height": size[0], "width": size[1],
               "objects": [{key: value for key, value in entry.items() if key != "mask"}
                           for entry in objects]}
    write_json(f"{output}.polygons.json", content)
