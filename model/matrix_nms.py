"""Matrix NMS (SOLOv2, section 3.4): scores decay by the overlap with better masks of the class."""
import paddle


def matrix_nms(masks, areas, class_indices, scores, kernel="gaussian", sigma=2.0):
    """Decayed scores float32 [I].

    masks float32 [I, P] of 0 and 1, areas float32 [I] (their sums), class_indices int64 [I], scores
    float32 [I] in descending order.  `kernel` "gaussian" (with sigma) or "linear".
    """
    intersection = masks @ masks.t()                                                # [I, I]
    iou = intersection / (areas.unsqueeze(0) + areas.unsqueeze(1) - intersection)
    same_class = class_indices.unsqueeze(0) == class_indices.unsqueeze(1)
    # row i scored higher than column j; the compensation is how much i itself is covered
    iou = paddle.triu(iou * same_class.astype(iou.dtype), diagonal=1)
    compensation = iou.max(axis=0).unsqueeze(1)                                     # [I, 1]
    if kernel == "gaussian":
        decay = paddle.exp(sigma * (compensation ** 2 - iou ** 2))
    elif kernel == "linear":
        decay = (1 - iou) / (1 - compensation)
    else:
        raise ValueError(f"nms_kernel is '{kernel}', expected 'gaussian' or 'linear'")
    return scores * decay.min(axis=0)
