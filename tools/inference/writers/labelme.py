"""Files of the annotation tool labelme."""
import os

from tools.files import write_json


def write_labelme(output, source, size, objects):
    """<output>.json for the annotation tool labelme; the parts of an object share a group_id."""
    shapes = [{"label": entry["class"], "points": polygon, "shape_type": "polygon", "flags": {},
               "group_id": number if len(entry["polygons"]) > 1 else None,
               "description": f"score {entry['score']:.3f}"}
              for number, entry in enumerate(objects, 1) for polygon in entry["polygons"]]
    write_json(f"{output}.json", {"version": "5.4.1", "flags": {}, "shapes": shapes,
                                  "imagePath": os.path.abspath(source), "imageData": None,
                                  "imageHeight": size[0], "imageWidth": size[1]})
