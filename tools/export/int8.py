"""The network in 8 bits, calibrated on images, where the engine looks for it."""
from tools.data.images import read_image
from tools.data.transforms import pad_to_divisor
from tools.engines import cache
from tools.engines.int8 import write_int8
from tools.engines.open import int8_name
from tools.inference.sources import find_images


def calibrate(predictor, calibration):
    """Quantise the network and put it where the engine looks for it; returns the folder.

    predictor: with the engine dygraph.  calibration: image, folder or pattern.
    """
    def prepare(path):
        image, _ = predictor.preprocess(read_image(path, apply_exif=True))
        return pad_to_divisor([image], predictor.cfg.size_divisor)

    paths = [path for path, _ in find_images(calibration)]
    return cache.make(predictor.weights, int8_name(predictor.weights, predictor.cfg),
                      lambda folder: write_int8(predictor.engine.model, folder, paths, prepare))
