"""Engine onnxruntime: ONNX Runtime on the CPU, from an ONNX file."""
from pathlib import Path

from model.arrays import to_host
from tools.engines.network import has_deform_conv, named

FILE = "network.onnx"
FIRST_WITH_DEFORM_CONV = 1, 25                 # on the CPU; 1.23.2 is the last one for Python 3.10
SPINNING = 50                      # microseconds for which a waiting thread turns round; by default
# for longer, which helps nothing on an idle machine.  Versions before 1.26 ignore it.


class OnnxRuntime:
    """engine(images) -> the outputs as numpy arrays.

    RuntimeError for a file that it cannot run.
    """

    name, package, needs = "onnxruntime", "onnxruntime", ("onnx", "onnxruntime")
    requirements = "requirements-extras.txt"

    def __init__(self, folder, threads, precision="float32", device="cpu"):
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as state

        self.precision = "float32"
        self.version = onnxruntime.__version__
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.spin_duration_us", str(SPINNING))
        try:
            self.session = onnxruntime.InferenceSession(str(Path(folder, FILE)), options,
                                                        providers=["CPUExecutionProvider"])
        except (state.Fail, state.InvalidGraph, state.NotImplemented, state.InvalidProtobuf,
                state.NoSuchFile) as error:
            raise RuntimeError(str(error)) from None

    def __call__(self, images):
        return named(self.session.run(None, {"images": to_host(images)}))

    @staticmethod
    def write(model, folder):
        from tools.engines.onnx_graph import network_file  # needs the optional package onnx

        Path(folder, FILE).write_bytes(network_file(model))

    @staticmethod
    def cannot_run(cfg, version):
        """Why it cannot run the network of a config; "" if it can."""
        numbers = tuple(int(number) for number in version.split(".")[:2])
        if has_deform_conv(cfg) and numbers < FIRST_WITH_DEFORM_CONV:
            return (f"onnxruntime {version} has no deformable convolution on the CPU, "
                    f"{'.'.join(map(str, FIRST_WITH_DEFORM_CONV))} has (Python 3.11 or later)")
        return ""

    @staticmethod
    def half():
        return ""
