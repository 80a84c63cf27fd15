"""Files of the annotation tools labelme and X-AnyLabeling."""
import base64
import os

from tools.files import write_json
from tools.inference.writers.image_file import encode_image

VERSION = "5.4.1"                                      # of labelme, whose format this is


def labelme_content(found, folder, tolerance=None):
    """The content of a labelme file in `folder`; the parts of an object share a group_id.

    imagePath is relative to that folder.  An image that is no file is put into the content.
    """
    shapes = []
    for number, (instance, rings) in enumerate(zip(found, found.polygons(tolerance), strict=True),
                                               1):
        shapes += [{"label": instance.name, "points": ring.tolist(), "shape_type": "polygon",
                    "flags": {}, "group_id": number if len(rings) > 1 else None,
                    "description": f"score {instance.score:.3f}"} for ring in rings]
    height, width = found.size
    return {"version": VERSION, "flags": {}, "shapes": shapes, **image_entries(found, folder),
            "imageHeight": height, "imageWidth": width}


def image_entries(found, folder):
    """imagePath, with forward slashes, and imageData."""
    if os.path.isfile(found.source):
        try:
            path = os.path.relpath(os.path.realpath(found.source), os.path.realpath(folder))
        except ValueError:                             # another drive of Windows
            path = os.path.abspath(found.source)
        return {"imagePath": path.replace(os.sep, "/"), "imageData": None}
    data = encode_image(found.image, ".png")
    return {"imagePath": os.path.basename(found.source) or "image.png",
            "imageData": base64.b64encode(data).decode("ascii")}


def write_labelme(path, found):
    """<stem of the image>.json."""
    write_json(path, labelme_content(found, path.parent))
