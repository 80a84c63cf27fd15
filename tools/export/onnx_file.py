"""An ONNX file with network and decoding, for users."""
import json

from tools.engines.network import NetworkWriter
from tools.engines.onnx_graph import IMAGES, OnnxGraph
from tools.export.decoding import write_decoding


def detector_file(model, cfg, metadata):
    """Network and decoding as the bytes of an ONNX file; `metadata` is in its property "solov2"."""
    graph = OnnxGraph()
    outputs = write_decoding(graph, NetworkWriter(model, graph)("images"), cfg)
    return graph.model(IMAGES, outputs, {"solov2": json.dumps(metadata)}).SerializeToString()
