"""Training samples for the tests of the transforms."""
import numpy as np

from tools.data.masks import masks_to_boxes

PAINT = 25                     # grey levels between the objects of a painted sample


def sample(height=40, width=60, count=3, seed=0):
    """Rectangles as masks over an image of noise."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((count, height, width), bool)
    for mask in masks:
        top, left = rng.integers(0, [height - 12, width - 12])
        mask[top:top + rng.integers(5, 12), left:left + rng.integers(5, 12)] = True
    return finished(rng.integers(0, 256, (height, width, 3)).astype(np.uint8), masks,
                    np.arange(count))


def painted(seed, first=1, count=4, size=(90, 140)):
    """Rectangles painted over one another: an object of class c has the grey value PAINT * c.

    first: class of the first object; the background is 0.
    """
    rng = np.random.default_rng(seed)
    classes, canvas = np.arange(first, first + count), np.zeros(size, int)
    for class_index in classes:
        top, left = rng.integers(0, np.array(size) - 30)
        canvas[top:top + rng.integers(20, 50), left:left + rng.integers(20, 50)] = class_index
    masks = canvas == classes[:, None, None]
    image = np.repeat((canvas * PAINT).astype(np.uint8)[..., None], 3, axis=2)
    return finished(image, masks[masks.any((1, 2))], classes[masks.any((1, 2))])


def finished(image, masks, class_indices):
    return {"image": image, "masks": masks, "boxes": masks_to_boxes(masks),
            "class_indices": class_indices, "image_id": 7, "file_name": "a.jpg",
            "original_size": image.shape[:2]}
