"""Engine paddle-inference: Paddle Inference with oneDNN, which comes with Paddle."""
from pathlib import Path

import numpy as np
import paddle

from model.arrays import to_host
from tools.engines.network import NetworkWriter, named
from tools.engines.paddle_graph import IMAGES, PaddleGraph, static_program

FILE = "network"                               # .json (2.6: .pdmodel) and .pdiparams


class PaddleInference:
    """engine(images) -> the outputs as numpy arrays.

    RuntimeError or ValueError for files that it cannot run.
    """

    name, package, needs = "paddle-inference", "paddle", ()
    requirements = "requirements.txt"

    def __init__(self, folder, threads, precision="float32", device="cpu"):
        from paddle.inference import Config, create_predictor

        self.precision = "float32"
        self.version = paddle.__version__
        path = Path(folder, FILE)
        program = next((path.with_suffix(suffix) for suffix in (".json", ".pdmodel")
                        if path.with_suffix(suffix).is_file()), None)
        if program is None:
            raise RuntimeError(f"there is no '{path}.json' or '{path}.pdmodel'")
        config = Config(str(program), str(path.with_suffix(".pdiparams")))
        config.disable_gpu()
        config.disable_glog_info()
        config.enable_mkldnn()
        config.set_cpu_math_library_num_threads(threads)
        self.predictor = create_predictor(config)

    def __call__(self, images):
        images = to_host(images)
        handle = self.predictor.get_input_handle(self.predictor.get_input_names()[0])
        handle.reshape(images.shape)
        handle.copy_from_cpu(np.ascontiguousarray(images))
        self.predictor.run()
        return named([self.predictor.get_output_handle(name).copy_to_cpu()
                      for name in self.predictor.get_output_names()])

    @staticmethod
    def write(model, folder):
        with static_program():
            graph = PaddleGraph()
            images = paddle.static.data(*IMAGES)
            graph.save(Path(folder, FILE), images, NetworkWriter(model, graph)(images))

    @staticmethod
    def cannot_run(cfg, version):
        """Why it cannot run the network of a config; "" if it can."""
        return ""

    @staticmethod
    def half():
        return ""
