"""The data sets of a config."""
import logging

from tools.data.coco import CocoDataset, summaries
from tools.errors import UserError

logger = logging.getLogger(__name__)


def open_dataset(cfg, split, class_names=None):
    """The CocoDataset of the "train" or "val" split; what it skips is logged as one warning.

    class_names: what the classes must be (of the weights, or of the training set).  UserError if
    the annotations differ, since class indices would then mean different things.
    """
    training = split == "train"
    json_path, images = getattr(cfg, f"{split}_json"), getattr(cfg, f"{split}_images")
    if training:
        dataset = CocoDataset(json_path, images, cfg.classes_file, training, cfg.empty_images,
                              cfg.max_broken_images)
    else:                          # whole: the AP of a part would be another number
        dataset = CocoDataset(json_path, images, cfg.classes_file, training)
    if dataset.problems:
        logger.warning("%s: %s", dataset.path, "; ".join(summaries(dataset.problems)))
    if class_names is not None and tuple(class_names) != tuple(dataset.class_names):
        raise UserError(f"the classes of {json_path} ({listed(dataset.class_names)}) are not those "
                        f"expected ({listed(class_names)}); give annotations with the same "
                        "classes, or a classes_file")
    return dataset


def listed(names, most=8):
    return f"{len(names)}: {', '.join(names[:most])}{', ...' if len(names) > most else ''}"
