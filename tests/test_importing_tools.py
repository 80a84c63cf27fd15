"""What annotation tools write: polygons keep their numbers, masks their pixels."""
import base64
import io
import json
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.importing_data import SIZE, Imported, blobs, photo, write
from tools.data.masks import polygons_to_mask

TRIANGLE = [[10.5, 5], [40, 8.25], [22, 50]]
SQUARE = [[50, 10], [70, 10], [70, 30], [50, 30]]


def flat(points):
    return [value for point in points for value in point]


def png_base64(mask):
    file = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


def labelme(shapes, image="a.jpg", size=SIZE, **more):
    return {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": image,
            "imageData": None, "imageHeight": size[0], "imageWidth": size[1], **more}


def shape(label, points, kind="polygon", group=None, **more):
    return {"label": label, "points": points, "shape_type": kind, "group_id": group, "flags": {},
            **more}


class TestLabelme:
    def test_polygons_keep_their_numbers_and_groups_join(self, tmp_path):
        photo(tmp_path / "in" / "a.jpg")
        write(tmp_path / "in" / "a.json", labelme([
            shape("cat", TRIANGLE), shape("dog", SQUARE, group=0), shape("dog", TRIANGLE, group=0),
            shape("cat", SQUARE, group=0), shape("cat", [[3, 4], [9, 2]], "rectangle"),
            shape("dog", SQUARE, "rotation", direction=0.5)]))
        found = Imported(tmp_path / "in", tmp_path / "out")
        assert found.code == 0
        assert found.objects() == [
            ("cat", [flat(TRIANGLE)], 0), ("dog", [flat(SQUARE), flat(TRIANGLE)], 0),
            ("cat", [flat(SQUARE)], 0), ("cat", [[3, 4, 9, 4, 9, 2, 3, 2]], 0),
            ("dog", [flat(SQUARE)], 0)]

    def test_mask_lies_where_its_points_say(self, tmp_path):
        photo(tmp_path / "in" / "a.jpg")
        mask = blobs(3)[0]
        rows, columns = np.nonzero(mask)
        box = mask[rows.min():rows.max() + 1, columns.min():columns.max() + 1]
        corner = [[float(columns.min()), float(rows.min())],
                  [float(columns.max()), float(rows.max())]]
        write(tmp_path / "in" / "a.json", labelme([
            shape("cat", corner, "mask", mask=png_base64(box)),
            shape("dog", corner, "mask", 1, mask=png_base64(box)), shape("dog", SQUARE, group=1),
            shape("cat", [[0, 0], [9, 9]], "mask", mask=png_base64(box)),
            shape("cat", corner, "mask", mask="!" * 40)]))
        found = Imported(tmp_path / "in", tmp_path / "out")
        assert found.code == 1 and "2 objects whose mask is damaged" in found.problems
        (cat, pixels), (dog, joined) = found.masks()
        assert (cat, dog) == ("cat", "dog") and np.array_equal(pixels, mask)
        assert np.array_equal(joined, mask | polygons_to_mask([flat(SQUARE)], SIZE))

    def test_circle_is_round(self, tmp_path):
        photo(tmp_path / "in" / "a.jpg")
        write(tmp_path / "in" / "a.json", labelme([shape("cat", [[40, 30], [40, 50]], "circle")]))
        [(_, mask)] = Imported(tmp_path / "in", tmp_path / "out").masks()
        ys, xs = np.indices(SIZE) + 0.5
        distance = np.hypot(xs - 40, ys - 30)
        assert mask[distance < 19.2].all() and not mask[distance > 20.8].any()

    def test_what_has_no_area_and_what_is_broken_is_named(self, tmp_path):
        photo(tmp_path / "in" / "a.jpg")
        write(tmp_path / "in" / "a.json", labelme([
            shape("cat", TRIANGLE), shape("cat", [[1, 1]], "point"), shape("", TRIANGLE),
            shape("cat", TRIANGLE, "linestrip"), shape("cat", [[1, 1], [2, 2]]),
            shape("cat", [[float("nan"), 1], [2, 2], [3, 0]]), shape("__ignore__", SQUARE),
            "no shape", shape("cat", TRIANGLE)]))
        write(tmp_path / "in" / "b.json", labelme([shape("cat", TRIANGLE)], "gone.jpg"))
        write(tmp_path / "in" / "c.json", "{damaged")
        write(tmp_path / "in" / "package.json", {"name": "something else"})
        found = Imported(tmp_path / "in", tmp_path / "out")
        assert found.code == 1 and found.objects() == [("cat", [flat(TRIANGLE)], 0)]
        for line in ("2 points, lines and other shapes", "2 objects without a class",
                     "2 objects whose coordinates", "1 shapes labelled as ignored",
                     "1 images that were not found", "1 files that cannot be read",
                     "1 json files that are not labelme's", "1 objects listed twice"):
            assert line in found.problems

    def test_image_of_another_size(self, tmp_path):
        photo(tmp_path / "in" / "a.jpg")
        photo(tmp_path / "in" / "b.jpg", (30, 40))
        write(tmp_path / "in" / "a.json", labelme([shape("cat", TRIANGLE)]))
        write(tmp_path / "in" / "b.json", labelme([shape("cat", TRIANGLE)], "b.jpg"))
        found = Imported(tmp_path / "in", tmp_path / "out")
        assert len(found.jsons["train"]["images"]) == 1
        assert "1 images of another size" in found.problems and "(30, 40)" in found.problems

    @pytest.mark.parametrize("file", ["none", "of another size"])
    def test_image_within_the_json(self, tmp_path, file):
        picture = photo(tmp_path / "a.jpg").read_bytes()
        if file != "none":
            photo(tmp_path / "in" / "a.jpg", (20, 20))
        write(tmp_path / "in" / "a.json", labelme(
            [shape("cat", TRIANGLE)], "C:\\Users\\me\\a.jpg",
            imageData=base64.b64encode(picture).decode()))
        found = Imported(tmp_path / "in", tmp_path / "out")
        assert found.code == 0 and found.objects() == [("cat", [flat(TRIANGLE)], 0)]
        assert (tmp_path / "out" / "images" / "a.jpg").read_bytes() == picture

    @pytest.mark.parametrize("path", ["..\\images\\a.jpg", "../images/a.jpg", "D:\\x\\a.jpg",
                                      "../../../../a.jpg", "images/A.JPG"])
    def test_paths_of_other_systems(self, tmp_path, path):
        photo(tmp_path / "in" / "images" / "a.jpg")
        photo(tmp_path / "a.jpg", seed=1)              # outside: never taken
        write(tmp_path / "in" / "labels" / "a.json", labelme([shape("cat", TRIANGLE)], path))
        found = Imported(tmp_path / "in", tmp_path / "out")
        assert found.code == 0 and len(found.jsons["train"]["annotations"]) == 1

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("size", [(60, 80), (64, 64)])
    def test_exif_turns_the_image_for_labelme(self, tmp_path, orientation, size):
        """Where the size cannot tell the loader, coordinates are turned back to stored pixels."""
        stored = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size, 3))
                                 .astype(np.uint8))
        exif = Image.Exif()
        exif[0x0112] = orientation
        (tmp_path / "in").mkdir()
        stored.save(tmp_path / "in" / "a.png", exif=exif)
        mask = np.zeros(size, bool)
        mask[10:20, 5:35] = True
        mask[20:30, 5:10] = True
        turns = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}         # PIL: what viewers do
        seen = Image.fromarray(mask)
        seen = np.array(seen.transpose(turns[orientation]) if orientation > 1 else seen)
        rows, columns = np.nonzero(seen)
        write(tmp_path / "in" / "a.json", labelme([
            shape("box", [[int(columns.min()), int(rows.min())],
                          [int(columns.max()) + 1, int(rows.max()) + 1]], "rectangle"),
            shape("cat", [[0, 0], [seen.shape[1] - 1, seen.shape[0] - 1]], "mask",
                  mask=png_base64(seen))], "a.png", seen.shape))
        found = Imported(tmp_path / "in", tmp_path / "out")
        [entry] = found.jsons["train"]["images"]
        turned_by_loader = (entry["height"], entry["width"]) != size
        (_, box), (_, cat) = found.masks("a.png", size=(entry["height"], entry["width"]))
        expected = seen if turned_by_loader else mask
        assert np.array_equal(cat, expected)
        assert box.sum() == 600 and (box & expected).sum() == expected.sum()


class TestCvat:
    HEAD = ("<annotations><version>1.1</version><meta><task><size>{count}</size><labels>"
            "<label><name>dog</name></label><label><name>cat</name></label></labels>"
            "<original_size><width>80</width><height>60</height></original_size></task></meta>")

    def xml(self, body, count=1):
        return f"<?xml version='1.0' encoding='utf-8'?>\n{self.HEAD.format(count=count)}{body}" \
               "</annotations>"

    def test_shapes_of_an_image(self, tmp_path):
        photo(tmp_path / "in" / "images" / "a.jpg")
        mask = blobs(5)[0]
        rows, columns = np.nonzero(mask)
        box = mask[rows.min():rows.max() + 1, columns.min():columns.max() + 1]
        changes = np.flatnonzero(np.diff(box.ravel().astype(int), prepend=0, append=2))
        runs = ", ".join(map(str, np.diff(changes, prepend=0)))
        points = "10.5,5;40,8.25;22,50"
        write(tmp_path / "in" / "annotations.xml", self.xml(f"""
          <image id="0" name="a.jpg" width="80" height="60">
            <polygon label="cat" points="{points}" occluded="0"/>
            <mask label="dog" rle="{runs}" left="{columns.min()}" top="{rows.min()}"
                  width="{box.shape[1]}" height="{box.shape[0]}"/>
            <box label="cat" xtl="50" ytl="10" xbr="70" ybr="30"/>
            <box label="cat" xtl="50" ytl="15" xbr="70" ybr="25" rotation="90"/>
            <ellipse label="dog" cx="40" cy="30" rx="20" ry="10"/>
            <polygon label="dog" points="{points}" group_id="3"/>
            <polygon label="dog" points="1,1;5,1;5,5" group_id="3"/>
            <polyline label="dog" points="{points}"/><points label="cat" points="1,2"/>
            <mask label="dog" rle="1,2" left="0" top="0" width="9" height="9"/><tag label="x"/>
          </image>"""))
        found = Imported(tmp_path / "in", tmp_path / "out")
        assert [entry["name"] for entry in found.jsons["train"]["categories"]] == ["dog", "cat"]
        objects = found.objects()
        assert objects[0] == ("cat", [flat(TRIANGLE)], 0)
        assert np.array_equal(found.masks()[1][1], mask)
        assert objects[2] == ("cat", [flat(SQUARE)], 0)
        turned = found.masks()[3][1]
        assert turned[10:30, 55:65].all() and turned.sum() == 200
        assert objects[5] == ("dog", [flat(TRIANGLE), [1, 1, 5, 1, 5, 5]], 0)
        assert len(objects) == 6 and found.code == 1
        assert "2 points, lines" in found.problems and "1 objects whose mask" in found.problems

    def test_tracks_move_between_keyframes_and_end_outside(self, tmp_path):
        for frame in range(6):
            photo(tmp_path / "in" / "images" / f"frame_{frame:06d}.jpg", seed=frame)
        boxes = "".join(f'<polygon frame="{frame}" outside="{outside}" keyframe="1" '
                        f'points="{x},0;{x + 10},0;{x + 10},10"/>'
                        for frame, x, outside in ((0, 0, 0), (3, 30, 0), (4, 30, 1)))
        write(tmp_path / "in" / "a.xml", self.xml(
            f'<track id="0" label="cat">{boxes}</track>', 6))
        found = Imported(tmp_path / "in", tmp_path / "out")
        assert len(found.jsons["train"]["images"]) == 4
        for frame in range(4):
            assert found.objects(f"{frame:06d}.jpg") == [
                ("cat", [[10 * frame, 0, 10 * frame + 10, 0, 10 * frame + 10, 10]], 0)]

    def test_entities_are_refused(self, tmp_path):
        photo(tmp_path / "in" / "a.jpg")
        bomb = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "bomb"}">' for n in range(12))
        write(tmp_path / "in" / "a.xml", f"<!DOCTYPE x [{bomb}]><annotations>&e11;</annotations>")
        with pytest.raises(ValueError, match="declares a document type"):
            Imported(tmp_path / "in", tmp_path / "out")


def pack_brush(mask):
    """rle-pack of an RGBA picture: runs for equal numbers, one literal word for the others."""
    values = np.zeros((*mask.shape, 4), np.uint8)
    values[mask] = 255
    values, bits = values.ravel(), []

    def add(number, count):
        bits.extend(f"{number:0{count}b}")

    add(len(values), 32), add(7, 5), [add(size - 1, 4) for size in (3, 4, 8, 16)]
    position = 0
    while position < len(values):
        end = position + 1
        while end < len(values) and values[end] == values[position] and end - position < 65536:
            end += 1
        if end - position > 3:
            add(1, 1), add(3, 2), add(end - position - 1, 16), add(int(values[position]), 8)
        else:
            end = position + 1
            add(0, 1), add(0, 2), add(0, 3), add(int(values[position]), 8)
        position = end
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return [int(text[start:start + 8], 2) for start in range(0, len(text), 8)]


class TestLabelStudio:
    def test_percent_brush_and_split_labels(self, tmp_path):
        photo(tmp_path / "in" / "images" / "a.jpg")
        mask = blobs(8)[0]
        size = {"original_width": 80, "original_height": 60, "image_rotation": 0}

        def region(number, kind, **value):
            return {"id": number, "type": kind, "value": value, **size}

        results = [
            region("1", "polygonlabels", points=[[12.5, 10], [50, 10], [25, 50]],
                   polygonlabels=["cat"]),
            region("2", "brushlabels", format="rle", rle=pack_brush(mask), brushlabels=["dog"]),
            region("3", "rectanglelabels", x=50, y=50, width=25, height=10, rotation=90,
                   rectanglelabels=["cat"]),
            region("4", "polygon", points=[[0, 0], [50, 0], [0, 50]]),
            region("4", "labels", points=[[0, 0], [50, 0], [0, 50]], labels=["bird"]),
            region("5", "keypointlabels", x=1, y=2, keypointlabels=["cat"]),
            region("6", "brushlabels", format="rle", rle=[1, 2, 3], brushlabels=["dog"]),
            region("7", "polygonlabels", points=[[0, 0], [9, 9], [0, 9]], polygonlabels=[])]
        tasks = [{"id": 1, "data": {"image": "/data/upload/3/0a1b2c3d-a.jpg"}, "annotations": [
                     {"was_cancelled": True, "result": []}, {"result": results}, {"result": []}]},
                 {"id": 2, "data": {"image": "/data/local-files/?d=x%2Fb.jpg"}, "annotations": []}]
        write(tmp_path / "in" / "project.json", tasks)
        found = Imported(tmp_path / "in", tmp_path / "out")
        cat, dog, box, bird = found.objects()
        assert cat == ("cat", [[10, 6, 40, 6, 20, 30]], 0)
        assert np.array_equal(found.masks()[1][1], mask) and dog[0] == "dog"
        assert np.allclose(box[1], [[40, 30, 40, 50, 34, 50, 34, 30]])
        assert bird == ("bird", [[0, 0, 40, 0, 0, 30]], 0) and found.code == 1
        for line in ("1 points, lines", "1 objects whose mask is damaged", "1 objects without a",
                     "1 tasks without a finished", "1 further annotations"):
            assert line in found.problems

    def test_json_min(self, tmp_path):
        photo(tmp_path / "in" / "a.jpg")
        write(tmp_path / "in" / "min.json", [{
            "image": "http://host:8080/data/upload/a.jpg", "id": 4, "label": [
                {"points": [[0, 0], [50, 0], [0, 50]], "polygonlabels": ["cat"],
                 "original_width": 80, "original_height": 60}]}])
        found = Imported(tmp_path / "in", tmp_path / "out")
        assert found.objects() == [("cat", [[0, 0, 40, 0, 0, 30]], 0)]


class TestVia:
    REGIONS = [{"shape_attributes": {"name": "polygon", "all_points_x": [10.5, 40, 22],
                                     "all_points_y": [5, 8.25, 50]},
                "region_attributes": {"note": "x", "type": {"cat": True, "dog": False}}},
               {"shape_attributes": {"name": "rect", "x": 50, "y": 10, "width": 20, "height": 20},
                "region_attributes": {"type": {"dog": True}}},
               {"shape_attributes": {"name": "ellipse", "cx": 40, "cy": 30, "rx": 20, "ry": 10,
                                     "theta": 0}, "region_attributes": {"type": {"dog": True}}},
               {"shape_attributes": {"name": "point", "cx": 4, "cy": 3},
                "region_attributes": {"type": {"dog": True}}}]
    EXPECTED = [("cat", [flat(TRIANGLE)], 0), ("dog", [flat(SQUARE)], 0)]

    @pytest.mark.parametrize("version", ["1", "2", "project"])
    def test_json(self, tmp_path, version):
        photo(tmp_path / "in" / "a.jpg")
        photo(tmp_path / "in" / "empty.jpg")
        regions = dict(enumerate(self.REGIONS)) if version == "1" else self.REGIONS
        content = {"a.jpg123": {"filename": "a.jpg", "size": 123, "regions": regions},
                   "empty.jpg1": {"filename": "empty.jpg", "size": 1, "regions": []}}
        content = {"_via_settings": {}, "_via_img_metadata": content, "_via_attributes": {}} \
            if version == "project" else content
        write(tmp_path / "in" / "via.json", content)
        found = Imported(tmp_path / "in", tmp_path / "out")
        assert found.objects()[:2] == self.EXPECTED and found.objects("empty.jpg") == []
        _, ellipse = found.masks()[2]
        assert 0.98 < ellipse.sum() / (np.pi * 200) < 1.02 and ellipse[30, 21:59].all()
        assert "1 points, lines" in found.problems

    def test_csv(self, tmp_path):
        photo(tmp_path / "in" / "a.jpg")
        rows = ["filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,"
                "region_attributes"]
        for number, region in enumerate(self.REGIONS):
            quoted = [json.dumps(region[key]).replace('"', '""')
                      for key in ("shape_attributes", "region_attributes")]
            rows.append(f'a.jpg,123,"{{}}",4,{number},"{quoted[0]}","{quoted[1]}"')
        write(tmp_path / "in" / "via.csv", "\ufeff" + "\r\n".join(rows))
        assert Imported(tmp_path / "in", tmp_path / "out").objects()[:2] == self.EXPECTED

    def test_version_3(self, tmp_path):
        photo(tmp_path / "in" / "a.jpg")
        entry = {"vid": "1", "flg": 0, "z": []}
        write(tmp_path / "in" / "via.json", {
            "project": {}, "config": {}, "view": {"1": {"fid_list": ["1"]}},
            "file": {"1": {"fid": 1, "fname": "a.jpg", "type": 2, "loc": 1, "src": "a.jpg"}},
            "attribute": {"1": {"aname": "class", "options": {"0": "cat", "1": "dog"}}},
            "metadata": {"1_a": {**entry, "xy": [7, *flat(TRIANGLE)], "av": {"1": "0"}},
                         "1_b": {**entry, "xy": [2, 50, 10, 20, 20], "av": {"1": "1"}},
                         "1_c": {**entry, "xy": [9, 40, 10, 60, 30, 20, 30], "av": {"1": "1"}}}})
        found = Imported(tmp_path / "in", tmp_path / "out")
        assert found.objects()[:2] == self.EXPECTED
        assert abs(found.masks()[2][1].sum() / (np.pi * 400) - 1) < 0.02


class TestSupervisely:
    def test_holes_bitmaps_and_data_sets(self, tmp_path, monkeypatch):
        monkeypatch.setattr("tools.data.importing.bitmaps.MOST_BYTES", 2**16)
        mask = blobs(2)[0]
        rows, columns = np.nonzero(mask)
        box = mask[rows.min():rows.max() + 1, columns.min():columns.max() + 1]
        data = base64.b64encode(zlib.compress(base64.b64decode(png_base64(box)))).decode()
        hole = [[55, 15], [65, 15], [65, 25], [55, 25]]
        objects = [
            {"classTitle": "cat", "geometryType": "polygon",
             "points": {"exterior": TRIANGLE, "interior": []}},
            {"classTitle": "cat", "geometryType": "polygon",
             "points": {"exterior": SQUARE, "interior": [hole]}},
            {"classTitle": "dog", "geometryType": "bitmap",
             "bitmap": {"data": data, "origin": [int(columns.min()), int(rows.min())]}},
            {"classTitle": "dog", "geometryType": "rectangle",
             "points": {"exterior": [[50, 10], [70, 30]], "interior": []}},
            {"classTitle": "dog", "geometryType": "line", "points": {"exterior": SQUARE}},
            {"classTitle": "dog", "geometryType": "bitmap",
             "bitmap": {"data": base64.b64encode(zlib.compress(bytes(2**20))).decode(),
                        "origin": [0, 0]}}]
        write(tmp_path / "in" / "meta.json", {"classes": [
            {"title": "dog", "shape": "bitmap"}, {"title": "cat", "shape": "polygon"}]})
        for folder, seed in (("ds1", 0), ("ds2", 1)):
            photo(tmp_path / "in" / folder / "img" / "a.jpg", seed=seed)
            write(tmp_path / "in" / folder / "ann" / "a.jpg.json", {
                "size": {"height": 60, "width": 80}, "tags": [],
                "objects": objects if folder == "ds1" else []})
        found = Imported(tmp_path / "in", tmp_path / "out")
        assert [entry["name"] for entry in found.jsons["train"]["categories"]] == ["dog", "cat"]
        assert found.objects("ds2/img/a.jpg") == []
        objects, masks = found.objects("ds1/img/a.jpg"), found.masks("ds1/img/a.jpg")
        assert objects[0] == ("cat", [flat(TRIANGLE)], 0)
        ring = np.zeros(SIZE, bool)
        ring[10:30, 50:70] = True
        ring[15:25, 55:65] = False
        assert np.array_equal(masks[1][1], ring) and np.array_equal(masks[2][1], mask)
        assert objects[3] == ("dog", [flat(SQUARE)], 0) and len(objects) == 4
        assert "1 points, lines" in found.problems and "1 objects whose mask" in found.problems


class TestYolo:
    def layout(self, root, names, splits="train: images/train\nval: images/val\n"):
        for split, image in (("train", "a"), ("train", "empty"), ("val", "b")):
            photo(root / "images" / split / f"{image}.jpg", seed=ord(image[0]))
        write(root / "labels" / "train" / "a.txt",
              "1 0.125 0.1 0.5 0.1 0.25 0.5\n0 0.5 0.5 0.2 0.2\n\n"
              "0 0.5 0.5 0.75 0.5 0.5 0.75 0.9\n1 10 10 20 10 20 20\nx 1 2 3 4 5 6\n")
        write(root / "labels" / "val" / "b.txt", "1 0 0 1 0 1 1 0 1")
        write(root / "data.yaml", f"# made by hand\npath: ../in  # root\n{splits}{names}")

    @pytest.mark.parametrize("names", [
        "names: ['dog', \"cat\"]", "nc: 2\nnames:\n  0: dog\n  1: cat\n", "names:\n- dog\n- cat",
        "names: {0: dog, 1: 'cat'}", "names: [dog,\n  cat]  # two"])
    def test_names_splits_and_lines(self, tmp_path, names):
        self.layout(tmp_path / "in", names)
        found = Imported(tmp_path / "in", tmp_path / "out")
        assert [entry["name"] for entry in found.jsons["val"]["categories"]] == ["dog", "cat"]
        assert found.objects() == [("cat", [[10, 6, 40, 6, 20, 30]], 0),
                                   ("dog", [[40, 30, 60, 30, 40, 45]], 0)]
        assert found.objects("empty.jpg") == []
        assert found.objects("b.jpg", "val") == [("cat", [[0, 0, 80, 0, 80, 60, 0, 60]], 0)]
        for line in ("1 boxes without an outline", "1 lines whose numbers are no shares",
                     "1 objects whose coordinates", "1 lines that end in a confidence"):
            assert line in found.problems

    @pytest.mark.parametrize("splits", [
        "train: ../train/images\nval: ../valid/images\n", "train: train.txt\nval: [val.txt]\n", "",
        "path: /content/drive/in\ntrain: /content/drive/in/images/train\nval: images/val\n"])
    def test_ways_to_name_the_images(self, tmp_path, splits):
        root = tmp_path / "in"
        self.layout(root, "names: [dog, cat]", splits)
        if "valid" in splits:
            for kind in ("images", "labels"):
                for split, name in (("train", "train"), ("val", "valid")):
                    (root / name).mkdir(exist_ok=True)
                    (root / kind / split).rename(root / name / kind)
        if "txt" in splits:
            write(root / "train.txt", "./images/train/a.jpg\n/abs/in/images/train/empty.jpg\r\n")
            write(root / "val.txt", "images/val/b.jpg\n")
        found = Imported(root, tmp_path / "out")
        assert len(found.jsons["train"]["images"]) == 2 and len(found.objects()) == 2
        assert len(found.objects("b.jpg", "val")) == 1

    def test_without_a_yaml(self, tmp_path):
        photo(tmp_path / "in" / "a.jpg")
        write(tmp_path / "in" / "a.txt", "0 0.125 0.1 0.5 0.1 0.25 0.5\n")
        write(tmp_path / "in" / "classes.txt", "cat\ndog\n")
        found = Imported(tmp_path / "in", tmp_path / "out")
        assert found.objects() == [("cat", [[10, 6, 40, 6, 20, 30]], 0)] and found.code == 0
