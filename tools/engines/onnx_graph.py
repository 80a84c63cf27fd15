"""An ONNX graph under construction: calls add nodes, in the order of computation."""
import numpy as np
from onnx import helper, numpy_helper

from tools.engines.network import OUTPUTS, NetworkWriter

OPSET = 19             # the first one with DeformConv
IR_VERSION = 9         # of the file format that came with it, so that older runtimes read the file
IMAGES = {"images": (np.float32, ["N", 3, "H", "W"])}          # H and W multiples of 32
KINDS = {"f": np.float32, "i": np.int64, "b": np.bool_}          # of constants


class OnnxGraph:
    """y = graph("Conv", x, weight, strides=[2, 2]) adds a node; values are known by their names.

    Numbers, lists and arrays among the inputs become constants of int64, float32 or bool; None is
    an optional input left out.
    """

    def __init__(self):
        self.nodes, self.constants = [], {}

    def __call__(self, op, *inputs, name="", outputs=1, **attributes):
        """The name of the output; a list of names if there are several.

        name: of the layer, to recognise nodes by; a number makes it unique.
        """
        name = f"{name or op}/{len(self.nodes)}"
        values = [name] if outputs == 1 else [f"{name}/{i}" for i in range(outputs)]
        inputs = ["" if value is None else self.constant(value) for value in inputs]
        while not inputs[-1]:
            inputs.pop()
        if "to" in attributes:             # of Cast: the name of a numpy type
            attributes["to"] = type_code(attributes["to"])
        self.nodes.append(helper.make_node(op, inputs, values, name=name, **attributes))
        return values[0] if outputs == 1 else values

    def constant(self, value, name=""):
        """The name of a constant; one with a name of its own is stored once, however often used."""
        if isinstance(value, str):
            return value
        name = name or f"constant/{len(self.constants)}"
        if name not in self.constants:
            array = np.asarray(value)
            array = array.astype(KINDS[array.dtype.kind], order="C")
            self.constants[name] = numpy_helper.from_array(array, name)
        return name

    def group_norm(self, x, scale, shift, groups, epsilon, name):
        """Nodes of a GroupNorm, which is an operation of its own only from opset 21 on."""
        ones, zeros = (self.constant(np.full(groups, value, np.float32), f"{value}x{groups}")
                       for value in (1, 0))
        flat = self("InstanceNormalization", self("Reshape", x, [0, groups, -1]), ones, zeros,
                    name=name, epsilon=epsilon)
        normal = self("Reshape", flat, self("Shape", x))
        scale, shift = (self("Unsqueeze", value, [1, 2]) for value in (scale, shift))
        return self("Add", self("Mul", normal, scale), shift)

    def model(self, inputs, outputs, metadata=()):
        """The onnx.ModelProto.

        inputs: {name: (numpy type, shape)}, with names for the sizes that are free.
        outputs: {name: (value, numpy type, shape)}.
        metadata: {key: text}.
        """
        def described(name, kind, shape):
            return helper.make_tensor_value_info(name, type_code(kind), shape)

        named = [helper.make_node("Identity", [value], [name], name=f"output/{name}")
                 for name, (value, _, _) in outputs.items()]
        graph = helper.make_graph(
            self.nodes + named, "solov2",
            [described(name, *about) for name, about in inputs.items()],
            [described(name, *about[1:]) for name, about in outputs.items()],
            list(self.constants.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)],
                                  ir_version=IR_VERSION, producer_name="solov2-paddle")
        helper.set_model_props(model, dict(metadata))
        return model


def network_file(model):
    """The raw network as the bytes of an ONNX file, with the outputs OUTPUTS."""
    graph = OnnxGraph()
    values = NetworkWriter(model, graph)("images")
    outputs = {name: (value, np.float32, [f"{name}_{axis}" for axis in "NCHW"])
               for name, value in zip(OUTPUTS, values, strict=True)}
    return graph.model(IMAGES, outputs).SerializeToString()


def type_code(kind):
    """ONNX's number of a numpy type."""
    return helper.np_dtype_to_tensor_dtype(np.dtype(kind))
