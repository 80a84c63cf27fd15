"""K folds of an annotation file: every image is validated on once, and trained on K - 1 times."""
from tools.data.classes import sort_key
from tools.data.holdout import grouped, owner_of
from tools.errors import UserError


def folds(content, number, group_by=None):
    """[(training, validation)] of COCO dicts, as hold_out makes them: every `number`-th image.

    group_by: as in hold_out, for images that must stay together.
    """
    images = sorted(content["images"], key=lambda image: sort_key(image["id"]))
    groups = grouped(images, group_by)
    if not 2 <= number <= len(groups):
        raise UserError(f"{number} folds of {len(groups)} images (or groups of them): expected 2 "
                        f"to {len(groups)}")
    owner = {image["id"]: place % number for place, group in enumerate(groups) for image in group}
    of_annotation = [owner_of(annotation, owner) for annotation in content["annotations"]]
    return [(part(content, images, owner, of_annotation, lambda place, fold=fold: place != fold),
             part(content, images, owner, of_annotation, lambda place, fold=fold: place == fold))
            for fold in range(number)]


def part(content, images, owner, of_annotation, wanted):
    """The COCO dict of the images, and their annotations, whose fold is wanted."""
    return {**content, "images": [image for image in images if wanted(owner[image["id"]])],
            "annotations": [annotation for annotation, place
                            in zip(content["annotations"], of_annotation, strict=True)
                            if place is not None and wanted(place)]}
