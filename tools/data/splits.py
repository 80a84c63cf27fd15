"""The data sets of a config."""
import logging

from tools.data.coco import CocoDataset
from tools.data.selection import problem_sentences
from tools.errors import UserError

logger = logging.getLogger(__name__)


def open_dataset(cfg, split, class_names=None):
    """The CocoDataset of the "train", "val" or "test" split; what it skips is one warning.

    class_names: what the classes must be (of the weights, or of the training set).  UserError if
    the annotations have others, since class indices would then mean different things, and for a
    training set without an object to learn from.
    """
    training = split == "train"
    json_path, images = getattr(cfg, f"{split}_json"), getattr(cfg, f"{split}_images")
    if training:
        dataset = CocoDataset(json_path, images, cfg.classes_file, training, cfg.empty_images,
                              cfg.max_broken_images, class_names, cfg.drop_unused_classes)
    else:                          # whole: the AP of a part would be another number
        dataset = CocoDataset(json_path, images, cfg.classes_file, training,
                              class_names=class_names)
    said = problem_sentences(dataset.problems)
    if split == "val" and not dataset.num_objects:
        said.append("no object to compare results with, so that AP is undefined")
    if said:
        logger.warning("%s: %s", dataset.path, "; ".join(said))
    if training and not dataset.num_objects:
        raise UserError(no_object(dataset))
    return dataset


def no_object(dataset):
    """The sentence about a data set from which nothing can be learned."""
    said = "; ".join(problem_sentences(dataset.problems)) or "the json has no annotation of them"
    return (f"'{dataset.path}' has no object to learn from: {len(dataset)} images, 0 usable "
            f"objects ({said}); look at it with python -m tools.check_dataset")
