"""Open Images: a csv with MaskPath, ImageID and LabelName, and a PNG per object.

Class names come from class-descriptions*.csv.  A mask may be smaller than its image; it is brought
to the size of the image by the nearest pixel.
"""
import csv
import io

from tools.data.importing.bitmaps import nearest, png_mask
from tools.data.importing.collection import AMBIGUOUS, DAMAGED, NO_IMAGE
from tools.data.importing.source import split_of_file
from tools.data.importing.tables import table_rows
from tools.errors import shown

NAME = "open-images"
NO_MASK = "objects whose mask file was not found"
RESIZED = "masks of another size than their image (brought to it by the nearest pixel)"


def recognise(source):
    for name in source.ending(".csv"):
        if is_mask_table(source.text(name)[:1000]):
            return f"{name} with a column MaskPath"
    return None


def is_mask_table(text):
    header = text.split("\n", 1)[0]
    return "MaskPath" in header and "ImageID" in header


def read(source, collection):
    names = class_names(source)
    files = {name.rpartition("/")[2]: name for name in source.ending(".png", around=True)}
    images = {}
    for name in source.images:
        images.setdefault(name.rpartition("/")[2].rpartition(".")[0], []).append(name)
    for table in source.ending(".csv"):
        text, rows = source.text(table), {}
        if is_mask_table(text[:1000]):
            for row in table_rows(text):
                rows.setdefault(str(row.get("ImageID")), []).append(row)
        for image, own in rows.items():
            picture = find_picture(image, table, images, collection, len(own))
            for row in own if picture else []:
                read_row(row, f"{table}: {row.get('MaskPath')}", (names, files), picture,
                         collection)


def find_picture(image, table, images, collection, count):
    """The Picture of an ImageID; None and counted where there is not one file."""
    found = images.get(image, [])
    if len(found) == 1:
        return collection.add_file(found[0], split=split_of_file(table))
    where = f"{table}: {image} ({count} objects)"
    return collection.leave_out(AMBIGUOUS if found else NO_IMAGE, where)


def class_names(source):
    """{"/m/01g317": "Person"}."""
    found = {}
    for name in source.ending(".csv", around=True):
        if "class-descriptions" in name.rpartition("/")[2]:
            rows = csv.reader(io.StringIO(source.text(name)))
            found.update({row[0]: row[1] for row in rows if len(row) > 1})
    return found


def read_row(row, where, known, picture, collection):
    names, files = known
    file = files.get(str(row.get("MaskPath")).rpartition("/")[2])
    if file is None:
        return collection.leave_out(NO_MASK, where)
    try:
        mask = png_mask(collection.source.around[file])
    except ValueError as error:
        return collection.leave_out(DAMAGED, f"{where}: {shown(str(error))}")
    if mask.shape != tuple(picture.size):
        collection.note(RESIZED, where)
        mask = nearest(mask, picture.size)
    label = str(row.get("LabelName") or "")
    return collection.add_mask(picture, names.get(label, label), mask)
