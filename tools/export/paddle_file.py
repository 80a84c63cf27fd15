"""A folder for Paddle Inference with network and decoding, for users."""
from pathlib import Path

import paddle

from tools.engines.network import NetworkWriter
from tools.engines.paddle_graph import IMAGES, PaddleGraph, static_program
from tools.export.decoding import write_decoding
from tools.files import write_json


def save_detector(folder, model, cfg, metadata):
    """Write network and decoding as model.json (2.6: .pdmodel) and .pdiparams, and solov2.json."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with static_program():
        graph = PaddleGraph()
        images = paddle.static.data(*IMAGES)
        outputs = write_decoding(graph, NetworkWriter(model, graph)(images), cfg)
        graph.save(folder / "model", images, [value for value, _, _ in outputs.values()])
    write_json(folder / "solov2.json", {**metadata, "outputs": list(outputs)})
