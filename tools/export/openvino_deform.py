"""ONNX's DeformConv for OpenVINO, which has the operation but does not know it from ONNX files."""
import numpy as np
import openvino.opset8 as opset
from openvino.frontend.onnx import ConversionExtension


def deform_conv_extension():
    """For openvino.Core.add_extension()."""
    return ConversionExtension("DeformConv", convert)


def convert(node):
    """DeformConv with the optional inputs bias (3) and mask (4) as OpenVINO operations."""
    x, weight, offset, bias, mask = (node.get_input(i) if i < node.get_input_size() else None
                                     for i in range(5))
    pads = node.get_attribute("pads")
    y = opset.deformable_convolution(x, offset, weight, node.get_attribute("strides"), pads[:2],
                                     pads[2:], [1, 1], mask, group=node.get_attribute("group"),
                                     bilinear_interpolation_pad=True)
    if bias is not None and bias.get_node().get_type_name() == "Constant":
        y = opset.add(y, opset.reshape(bias, np.int64([1, -1, 1, 1]), special_zero=False))
    return y.outputs()
