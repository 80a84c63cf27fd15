"""The formats in the order in which they are tried: what is unmistakable first, pictures last."""
from tools.data.importing import (
    cityscapes,
    coco,
    cvat,
    label_studio,
    labelme,
    lvis,
    masks,
    open_images,
    panoptic,
    roboflow,
    supervisely,
    via,
    voc,
    yolo,
)
from tools.errors import UserError

FORMATS = (roboflow, panoptic, lvis, coco, supervisely, cityscapes, labelme, label_studio, via,
           open_images, cvat, voc, yolo, masks)
BOXES_PEEKED = 20                  # files
NAMES = tuple(sorted(reader.NAME for reader in FORMATS))


def recognise(source, forced=None):
    """(reader, by what it was recognised, other formats that it could be).  UserError for none."""
    if forced:
        return next(reader for reader in FORMATS if reader.NAME == forced), "as --format says", []
    found = [(reader, reason) for reader in FORMATS if (reason := reader.recognise(source))]
    if not found:
        raise UserError(f"nothing in '{source.root}' looks like annotations: expected one of "
                        f"{', '.join(NAMES)}; found {contents(source)}{boxes(source)}.  "
                        "docs/own_data.md says what each looks like; --format NAME forces one")
    reader, reason = found[0]
    return reader, reason, [other.NAME for other, _ in found[1:] if not implied(reader, other)]


def implied(reader, other):
    """Whether everything of one format looks like the other too."""
    return other in (coco, masks) or reader in (roboflow, panoptic, lvis) and other is lvis


def boxes(source):
    """A hint where there is a file of boxes alone, which are no format of this command."""
    for name in source.ending(".xml", ".csv")[:BOXES_PEEKED]:
        text = source.text(name)[:100_000]
        if "<bndbox>" in text or "XMin" in text.partition("\n")[0]:
            return f"; {name} has boxes only: SOLOv2 learns masks, so outlines are needed"
    return ""


def contents(source):
    """ "3 .jpg, 2 .txt": the endings of the files, for a message."""
    endings = {}
    for name in source.files:
        ending = "." + name.rpartition(".")[2].lower() if "." in name else "without an ending"
        endings[ending] = endings.get(ending, 0) + 1
    most = sorted(endings.items(), key=lambda item: -item[1])[:6]
    return ", ".join(f"{count} {ending}" for ending, count in most)
