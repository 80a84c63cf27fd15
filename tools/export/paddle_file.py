"""A folder for Paddle Inference with network and decoding, for users."""
from pathlib import Path

import paddle

from tools.engines.network import NetworkWriter
from tools.engines.paddle_graph import IMAGES, PaddleGraph, static_program
from tools.export.decoding import write_decoding


def write_detector(folder, model, cfg):
    """Write network and decoding as model.json (2.6: .pdmodel) and .pdiparams; {"outputs": names}.
    """
    with static_program():
        graph = PaddleGraph()
        images = paddle.static.data(*IMAGES)
        outputs = write_decoding(graph, NetworkWriter(model, graph)(images), cfg)
        graph.save(Path(folder) / "model", images, [value for value, _, _ in outputs.values()])
    return {"outputs": list(outputs)}
