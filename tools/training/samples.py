"""What a network in training finds in a few images of the val set, as one picture."""
import cv2
import numpy as np

from tools.errors import UserError
from tools.files import atomic_file
from tools.inference.predictor import Predictor
from tools.inference.visualize import draw

WIDTH = 480                        # pixels of an image in the picture
COLUMNS = 2
MARGIN = 4


def draw_samples(cfg, dataset, model, path):
    """Write a JPEG of `cfg.sample_pictures` images, evenly spread over the set, to `path`.

    Images that cannot be read are left out: the evaluation names them.
    """
    predictor = Predictor.from_model(cfg, model, dataset.class_names)
    pictures = []
    for index in spread(len(dataset), cfg.sample_pictures):
        try:
            image = dataset.load_image(index)
        except UserError:
            continue
        found = predictor(image)
        pictures.append(scaled(draw(image, found, dataset.class_names, cfg.draw_threshold)))
    if pictures:
        done, data = cv2.imencode(".jpg", sheet(pictures))
        with atomic_file(path, durable=False) as file:
            file.write(data.tobytes() if done else b"")


def spread(length, count):
    """`count` indices (fewer in a short set), evenly spread over 0 .. length - 1."""
    count = min(length, count)
    return [(2 * number + 1) * length // (2 * count) for number in range(count)]


def scaled(image):
    height = max(1, round(image.shape[0] * WIDTH / image.shape[1]))
    shrinks = image.shape[1] > WIDTH
    return cv2.resize(image, (WIDTH, height),
                      interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def sheet(pictures):
    """uint8 BGR: pictures of equal width in rows of COLUMNS, on white."""
    rows = [pictures[first:first + COLUMNS] for first in range(0, len(pictures), COLUMNS)]
    heights = [max(picture.shape[0] for picture in row) for row in rows]
    columns = min(COLUMNS, len(pictures))
    canvas = np.full((sum(heights) + MARGIN * (len(rows) - 1),
                      columns * WIDTH + MARGIN * (columns - 1), 3), 255, np.uint8)
    top = 0
    for row, height in zip(rows, heights, strict=True):
        for column, picture in enumerate(row):
            left = column * (WIDTH + MARGIN)
            canvas[top:top + picture.shape[0], left:left + WIDTH] = picture
        top += height + MARGIN
    return canvas
