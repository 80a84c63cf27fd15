"""ONNX files: the raw network for the engines, and network with decoding for users."""
import json

import numpy as np

from tools.export.decoding import write_decoding
from tools.export.graph import Graph
from tools.export.network import OUTPUTS, NetworkWriter

IMAGES = {"images": (np.float32, ["N", 3, "H", "W"])}          # H and W multiples of 32


def network_file(model):
    """The raw network as the bytes of an ONNX file, with the outputs OUTPUTS."""
    graph = Graph()
    values = NetworkWriter(model, graph)("images")
    outputs = {name: (value, np.float32, [f"{name}_{axis}" for axis in "NCHW"])
               for name, value in zip(OUTPUTS, values, strict=True)}
    return graph.model(IMAGES, outputs).SerializeToString()


def detector_file(model, cfg, metadata):
    """Network and decoding as the bytes of an ONNX file; `metadata` is in its property "solov2"."""
    graph = Graph()
    outputs = write_decoding(graph, NetworkWriter(model, graph)("images"), cfg)
    return graph.model(IMAGES, outputs, {"solov2": json.dumps(metadata)}).SerializeToString()
