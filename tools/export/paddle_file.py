"""A folder for Paddle Inference: network and decoding as a program, and what it is for as json."""
from pathlib import Path

import paddle

from tools.export.decoding import write_decoding
from tools.export.network import NetworkWriter
from tools.export.paddle_graph import PaddleGraph, static_program
from tools.files import write_json


def save_detector(folder, model, cfg, metadata):
    """Write model.json (2.6: model.pdmodel), model.pdiparams and solov2.json to `folder`."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with static_program():
        graph = PaddleGraph()
        images = paddle.static.data("images", [None, 3, None, None], "float32")
        outputs = write_decoding(graph, NetworkWriter(model, graph)(images), cfg)
        graph.save(folder / "model", images, [value for value, _, _ in outputs.values()])
    write_json(folder / "solov2.json", {**metadata, "outputs": list(outputs)})
