"""The network in 8-bit integers for OpenVINO: post-training quantisation by NNCF."""
import logging
import tempfile

import nncf
import openvino

from tools.data.images import read_image
from tools.data.transforms import pad_to_divisor
from tools.export import cache
from tools.export.onnx_file import network_file
from tools.export.openvino_deform import deform_conv_extension
from tools.inference.sources import find_images

MAX_IMAGES = 300       # more calibration images do not move the ranges
# Kept in float32: what the scores and the dynamic kernels are read from.  On the quick-start val
# set this loses 0.2 points of mask AP; without it 0.3.
FLOAT_LAYERS = (".*category_pred.*", ".*kernel_pred.*")


def write_int8(predictor, calibration):
    """Quantise the network and put it where the engine looks for it; returns the path.

    predictor: with the engine dygraph.  calibration: image, folder or pattern.
    """
    def prepare(path):
        image, _ = predictor.preprocess(read_image(path, apply_exif=True))
        return pad_to_divisor([image], predictor.cfg.size_divisor)

    paths = [path for path, _ in find_images(calibration)]
    model = quantize(network_file(predictor.engine.model), paths, prepare)
    name = f"int8-{cache.export_key(predictor.weights, predictor.cfg)}"
    with tempfile.TemporaryDirectory() as folder:
        openvino.save_model(model, f"{folder}/network.xml", compress_to_fp16=False)
        cache.store(predictor.weights, name, folder)
    return cache.find(predictor.weights, name)


def quantize(network, paths, prepare):
    """The network, the bytes of an ONNX file, in 8 bits as an openvino.Model.

    paths: calibration images; prepare(path) -> network-ready float32 [1, 3, H, W].
    """
    nncf.set_log_level(logging.ERROR)
    core = openvino.Core()
    core.add_extension(deform_conv_extension())
    paths = paths[:MAX_IMAGES]
    return nncf.quantize(core.read_model(network), nncf.Dataset(paths, prepare),
                         subset_size=len(paths),
                         ignored_scope=nncf.IgnoredScope(patterns=list(FLOAT_LAYERS)))
