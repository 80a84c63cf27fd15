"""Decoding (model/decode.py) as ONNX nodes: no branch, and no shape that depends on the data.

`graph` is an OnnxGraph, or a PaddleGraph for the same in a Paddle program.
N images, C classes, E kernel channels, S grid side of a level, T cells of an image over all levels,
P pixels of the mask features, K = max_candidates, M = max_per_image.

The K best scores become candidates before their masks are known, so the result is that of the
predictor unless more than K scores exceed the score threshold.  All K masks and the [K, K] overlaps
are computed whatever the image holds: about 12 * K * P bytes.
"""
import numpy as np


def write_decoding(graph, outputs, cfg):
    """Raw values (in the order of network.OUTPUTS) -> {output: (value, numpy type, shape)}.

      count          int64 [N]: how many of the M rows are instances; the rest is zeros
      scores         float32 [N, M], descending
      class_indices  int64 [N, M]
      masks          float32 [N, M, H/4, W/4]: probabilities; bilinear x4, cut to the resized size,
                     bilinear to the original size, > mask_threshold gives the instance
    """
    strides = np.repeat(np.float32(cfg.strides), np.square(cfg.num_grids))            # [T]
    num_candidates = min(cfg.max_candidates, len(strides) * cfg.num_classes)
    num_results = min(cfg.max_per_image, num_candidates)
    levels = len(cfg.num_grids)
    scores, cell_indices, class_indices = candidates(graph, outputs[:levels], cfg.num_classes,
                                                     num_candidates)
    kernels = take_rows(graph, flatten_cells(graph, outputs[levels:-1]), cell_indices)   # [N, K, E]
    features = graph("Reshape", outputs[-1], [0, 0, -1])                              # [N, E, P]
    probs = graph("Sigmoid", graph("MatMul", kernels, features))                      # [N, K, P]
    binary = graph("Cast", graph("Greater", probs, cfg.mask_threshold), to="float32")
    area = graph("ReduceSum", binary, [2], keepdims=0)                                # [N, K]
    scores = rescore(graph, scores, probs, binary, area,
                     graph("Gather", strides, cell_indices), cfg.score_threshold)
    first = np.triu(np.ones([num_candidates] * 2, bool), 1)         # decides between equal scores
    iou = overlaps(graph, scores, class_indices, binary, area, first)
    scores = graph("Mul", scores, decay(graph, iou, cfg.nms_kernel, cfg.nms_sigma))
    scores = keep_where(graph, "GreaterOrEqual", scores, cfg.update_threshold, scores)
    scores, order = graph("TopK", scores, [num_results], outputs=2)                   # [N, M]
    found = graph("Greater", scores, 0.0)
    filled = graph("Unsqueeze", graph("Cast", found, to="float32"), [2])
    masks = graph("Mul", take_rows(graph, probs, order), filled)                         # [N, M, P]
    size = graph("Slice", graph("Shape", outputs[-1]), [2], [4])
    found = graph("Cast", found, to="int64")
    class_indices = graph("GatherElements", class_indices, order, axis=1)
    shape = ["N", num_results]
    return {"count": (graph("ReduceSum", found, [1], keepdims=0), np.int64, ["N"]),
            "scores": (scores, np.float32, shape),
            "class_indices": (graph("Mul", class_indices, found), np.int64, shape),
            "masks": (graph("Reshape", masks, graph("Concat", [0, num_results], size, axis=0)),
                      np.float32, [*shape, "h", "w"])}


def candidates(graph, category_logits, num_classes, count):
    """Scores, cells and classes [N, K] of the highest scores that are peaks (points NMS)."""
    peaks = []
    for logits in category_logits:
        scores = graph("Sigmoid", logits)
        highest = graph("MaxPool", scores, kernel_shape=[2, 2], strides=[1, 1], pads=[1, 1, 0, 0])
        peaks.append(keep_where(graph, "Equal", scores, highest, scores))
    scores = graph("Reshape", flatten_cells(graph, peaks), [0, -1])                   # [N, T * C]
    scores, indices = graph("TopK", scores, [count], outputs=2)
    cell_indices = graph("Div", indices, num_classes)
    return scores, cell_indices, graph("Mod", indices, num_classes)


def rescore(graph, scores, probs, binary, area, strides, threshold):
    """Scores times maskness; 0 where the score or the area of the mask is too small."""
    inside = graph("ReduceSum", graph("Mul", probs, binary), [2], keepdims=0)
    scores = keep_where(graph, "Greater", scores, threshold, scores)
    scores = keep_where(graph, "Greater", area, strides, scores)
    return graph("Mul", scores, graph("Div", inside, graph("Max", area, 1.0)))


def overlaps(graph, scores, class_indices, binary, area, first):
    """IoU [N, K, K] of each candidate (rows) with the worse ones of its class, 0 elsewhere."""
    def pairs(op, values):
        return graph(op, graph("Unsqueeze", values, [2]), graph("Unsqueeze", values, [1]))

    better = graph("Or", pairs("Greater", scores), graph("And", pairs("Equal", scores), first))
    related = graph("And", better, pairs("Equal", class_indices))
    intersection = graph("MatMul", binary, graph("Transpose", binary, perm=[0, 2, 1]))
    union = graph("Max", graph("Sub", pairs("Add", area), intersection), 1.0)
    return graph("Mul", graph("Cast", related, to="float32"), graph("Div", intersection, union))


def decay(graph, iou, kernel, sigma):
    """Matrix NMS: the factor [N, K] of each score."""
    covered = graph("Unsqueeze", graph("ReduceMax", iou, [1], keepdims=0), [2])       # of the rows
    if kernel == "gaussian":
        gap = graph("Sub", graph("Mul", covered, covered), graph("Mul", iou, iou))
        factors = graph("Exp", graph("Mul", gap, sigma))
    else:
        factors = graph("Div", graph("Sub", 1.0, iou),
                        graph("Max", graph("Sub", 1.0, covered), 1e-9))
    return graph("Min", graph("ReduceMin", factors, [1], keepdims=0), 1.0)


def flatten_cells(graph, levels):
    """Levels of [N, X, S, S] -> [N, T, X]."""
    flat = [graph("Reshape", level, [0, 0, -1]) for level in levels]
    return graph("Transpose", graph("Concat", *flat, axis=2), perm=[0, 2, 1])


def take_rows(graph, rows, indices):
    """Of [N, R, X] the rows at int64 [N, K] -> [N, K, X]."""
    return graph("GatherND", rows, graph("Unsqueeze", indices, [2]), batch_dims=1)


def keep_where(graph, op, left, right, values):
    """`values` where the comparison holds, 0 elsewhere."""
    return graph("Where", graph(op, left, right), values, 0.0)

