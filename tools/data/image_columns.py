"""Images of a COCO json as columns, beside those of its annotations.  N: images."""
import json

import numpy as np

LARGEST_SIDE = 2 ** 31             # pixels
COLUMNS = {"size": np.int64, "info_end": np.int64, "info": np.uint8}
WIDTHS = {"size": 2}                                   # columns of rows


def image_columns(images):
    """The columns of the images [[id, file name, height, width]].

    "size": int64 [N, 2], 0 where it is not given or senseless; "info": text, '[id, "file name"],'
    of each.
    """
    sizes = [image[2:] if max(image[2:]) < LARGEST_SIDE else (0, 0) for image in images]
    texts = [(json.dumps(image[:2]) + ",").encode() for image in images]
    return {"size": np.array(sizes, np.int64).reshape(-1, 2),
            "info_end": np.cumsum([0, *map(len, texts)]),
            "info": np.frombuffer(b"".join(texts), np.uint8)}
