"""Files for Paddle Inference: the raw network for the engine, network with decoding for users."""
from pathlib import Path

import paddle

from tools.export.decoding import write_decoding
from tools.export.network import NetworkWriter
from tools.export.paddle_graph import PaddleGraph, static_program
from tools.files import write_json

IMAGES = "images", [None, 3, None, None], "float32"


def save_network(path, model):
    """Write the raw network to PATH.json (2.6: .pdmodel) and .pdiparams; returns the first."""
    with static_program():
        graph = PaddleGraph()
        images = paddle.static.data(*IMAGES)
        return graph.save(path, images, NetworkWriter(model, graph)(images))


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
