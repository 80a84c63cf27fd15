"""The network in 8-bit integers for OpenVINO: post-training quantisation by NNCF."""
import logging

import nncf

from tools.engines.onnx_graph import network_file
from tools.engines.openvino import read_onnx, save

MAX_IMAGES = 300       # more calibration images do not move the ranges
# Kept in float32: what the scores and the dynamic kernels are read from.  On the quick-start val
# set this loses 0.2 points of mask AP; without it 0.3.
FLOAT_LAYERS = (".*category_pred.*", ".*kernel_pred.*")


def write_int8(model, folder, sources, prepare):
    """Quantise the network into an empty folder.

    sources: of calibration images; prepare(source) -> network-ready float32 [1, 3, H, W].
    """
    nncf.set_log_level(logging.ERROR)
    sources = sources[:MAX_IMAGES]
    scope = nncf.IgnoredScope(patterns=list(FLOAT_LAYERS))
    save(nncf.quantize(read_onnx(network_file(model)), nncf.Dataset(sources, prepare),
                       subset_size=len(sources), ignored_scope=scope), folder)
