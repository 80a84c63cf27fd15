"""What one image would teach the network: objects, the cells that own them and why, the losses.

All comes from model/targets.py and model/losses.py, for the outputs that were just predicted.
I objects, L levels, T cells of all levels, M positive (cell, object) pairs, P pixels at stride 4.
"""
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import paddle

from model.losses import category_loss, dice_loss, flatten_cells, positive_counts, solov2_loss
from model.targets import (
    build_targets,
    center_regions,
    learning_levels,
    mass_centers,
    object_scales,
)
from tools.data.transforms import Resize
from tools.errors import UserError

ROWS = 64                          # pairs whose masks are computed at once


@dataclass
class Lesson:
    """The objects at the size that the network saw, their targets, and the loss of each part."""

    masks: np.ndarray              # bool [I, h, w]
    boxes: np.ndarray              # float32 [I, 4] xyxy
    class_indices: np.ndarray      # int64 [I]
    scales: np.ndarray             # float32 [I], sqrt of the box area
    levels: np.ndarray             # bool [I, L], whose scale range holds the object
    centers: tuple                 # y, x, area, float64 [I] each
    regions: np.ndarray            # float [I, 4] xyxy, the part of the box that is taught
    targets: dict                  # of build_targets
    category_losses: np.ndarray    # float64 [T], parts of `losses["category"]`
    dice_losses: np.ndarray        # float32 [M], of the pairs
    counts: tuple                  # positive cells, pairs with a mask that is not empty
    losses: dict                   # {"mask", "category"}, what training would minimise


def teach(found, cfg, objects):
    """The Lesson of a Trace; objects: (masks bool [I, H, W], boxes, class_indices) of the image."""
    masks, boxes, class_indices = objects
    resize = Resize(cfg.test_short_side, cfg.test_max_side, cfg.resize_library,
                    cfg.resized_size_rule, cfg.smooth_masks)
    sample = resize({"image": found.image, "masks": masks, "boxes": boxes}, None)
    masks, boxes = sample["masks"], sample["boxes"]
    targets = build_targets([(masks, boxes, class_indices)], found.padded.shape[1:],
                            cfg.num_grids, cfg.scale_ranges, cfg.center_region, cfg.smooth_masks)
    centers = mass_centers(masks)
    regions = np.stack(center_regions(centers, boxes, cfg.center_region), 1)
    return Lesson(masks, boxes, class_indices, object_scales(boxes),
                  learning_levels(boxes, cfg.scale_ranges), centers, regions, targets,
                  *losses_of(found.outputs, targets, cfg))


@paddle.no_grad()
def losses_of(outputs, targets, cfg):
    """(category losses [T], Dice losses [M], counts, whole losses) of the raw outputs."""
    tensors = {name: paddle.to_tensor(value) if value.size else paddle.empty(value.shape,
                                                                            str(value.dtype))
               for name, value in targets.items()}
    counts = positive_counts(tensors)
    whole = solov2_loss(outputs, tensors, [len(targets["cells"])], cfg.mask_loss_weight,
                        cfg.focal_alpha, cfg.focal_gamma, counts)
    parts = category_loss(flatten_cells(outputs["category_logits"]),
                          tensors["category_targets"].reshape([-1]), counts[0], cfg.focal_alpha,
                          cfg.focal_gamma, "none")
    kernels = flatten_cells(outputs["kernels"])
    features = outputs["mask_features"].astype("float32").flatten(2)[0]                # [E, P]
    masks = tensors["object_masks"].flatten(1).astype("float32")                       # [I, P]
    dice = [np.zeros(0, np.float32)]
    for start in range(0, len(targets["cells"]), ROWS):
        rows = slice(start, start + ROWS)
        logits = paddle.gather(kernels, tensors["cells"][rows]) @ features
        losses, _ = dice_loss(logits, paddle.gather(masks, tensors["cell_masks"][rows]))
        dice.append(losses.numpy())
    return (parts.numpy().sum(1, dtype=np.float64), np.concatenate(dice),
            tuple(counts.tolist()), {name: float(value) for name, value in whole.items()})


def annotated_photo(dataset, photo, class_names):
    """(image uint8 BGR, (masks, boxes, class_indices)) of a photograph in a CocoDataset.

    The class indices are those of the network, whose class names are given.  UserError where the
    data set lacks the photograph, or the network a class.
    """
    target = Path(photo).resolve()
    indices = [index for index in range(len(dataset))
               if Path(dataset.image_info(index)["path"]).resolve() == target]
    if not indices:
        raise UserError(f"'{dataset.path}' has no image '{photo}' (its file names start in "
                        f"'{dataset.image_dir}'): give that folder with --images")
    masks, boxes, class_indices = dataset.objects(indices[0])
    names = [dataset.class_names[index] for index in class_indices]
    unknown = sorted(set(names) - set(class_names))
    if unknown:
        raise UserError(f"'{dataset.path}' has objects of class '{unknown[0]}', which the network "
                        f"does not know; it knows {', '.join(class_names[:10])}")
    class_indices = np.array([class_names.index(name) for name in names], np.int64)
    return dataset.load_image(indices[0]), (masks, boxes, class_indices)
