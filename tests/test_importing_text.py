"""csv and xml as spreadsheets, other systems and long outlines leave them."""
import csv
import io
import json

import numpy as np
import pytest

from tests.importing_data import Imported, blobs, photo, png, write

COLUMNS = ("filename", "file_size", "file_attributes", "region_count", "region_id",
           "region_shape_attributes", "region_attributes")


def table(rows, delimiter):
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter).writerows(rows)
    return file.getvalue()


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_of_via(tmp_path, delimiter):
    """The second outline is longer than what Python's csv takes."""
    angles = np.linspace(0, 2 * np.pi, 20_000, endpoint=False)
    long = (np.stack([np.cos(angles), np.sin(angles)], 1) * 20 + 30).round(6)
    rows = [["a.jpg", 1, "{}", 2, number, json.dumps({
        "name": "polygon", "all_points_x": ring[:, 0].tolist(),
        "all_points_y": ring[:, 1].tolist()}), json.dumps({"type": "cat; big, old"})]
        for number, ring in enumerate([np.array([[1, 2], [30, 4], [5, 40.5]]), long])]
    photo(tmp_path / "in" / "a.jpg")
    write(tmp_path / "in" / "via.csv", table([COLUMNS, *rows], delimiter))
    found = Imported(tmp_path / "in", tmp_path / "out")
    assert found.code == 0 and found.objects() == [
        ("cat; big, old", [[1, 2, 30, 4, 5, 40.5]], 0),
        ("cat; big, old", [long.ravel().tolist()], 0)]


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_csv_of_open_images(tmp_path, delimiter):
    mask = blobs(1)[0]
    photo(tmp_path / "in" / "train" / "00ab.jpg")
    png(tmp_path / "in" / "masks" / "00ab_1.png", mask * np.uint8(255))
    write(tmp_path / "in" / "train-masks.csv", "\ufeff" + table(
        [("MaskPath", "ImageID", "LabelName"), ("00ab_1.png", "00ab", "/m/01")], delimiter))
    [(label, pixels)] = Imported(tmp_path / "in", tmp_path / "out").masks("00ab.jpg")
    assert label == "/m/01" and np.array_equal(pixels, mask)


@pytest.mark.parametrize("encoding, comment", [("utf-16", ""), ("utf-8", f"<!--{'x' * 9000}-->"),
                                               ("windows-1251", "")])
def test_xml_of_cvat(tmp_path, encoding, comment):
    photo(tmp_path / "in" / "a.jpg")
    text = (f"<?xml version='1.0' encoding='{encoding}'?>\n{comment}<annotations><image id='0' "
            "name='a.jpg' width='80' height='60'><polygon label='\u043a\u043e\u0442' "
            "points='1,1;9,1;9,9'/></image></annotations>")
    (tmp_path / "in" / "a.xml").write_bytes(text.encode(encoding))
    found = Imported(tmp_path / "in", tmp_path / "out")
    assert found.objects() == [("\u043a\u043e\u0442", [[1, 1, 9, 1, 9, 9]], 0)]
