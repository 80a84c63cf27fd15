"""The data set check: its counts are made by hand, its exit codes are those of its help."""
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from config import get_config
from model.targets import mass_centers, positive_cells
from tools.check_dataset import __main__ as check_dataset
from tools.check_dataset.extents import ResizePlan, extents
from tools.check_dataset.fit import fit, propose, propose_grid, propose_ranges
from tools.check_dataset.survey import COLUMNS, DARK, Survey, maybe_turned, survey
from tools.data.coco import CocoDataset
from tools.data.masks import mask_to_rle, masks_to_boxes
from tools.data.shapes import write_split
from tools.data.transforms import Resize
from tools.errors import UserError

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
GRIDS, RANGES = (8, 4), ((1, 40), (30, 200))


def objects(rows):
    """A Survey of (image, size, center x, center y) squares on canvases of 320 x 320."""
    table = np.zeros((len(rows), len(COLUMNS)))
    for row, (image, size, x, y) in zip(table, rows, strict=True):
        row[:] = image, 0, size, size, y, x, size * size, 320, 320
    return Survey(table, {})


def test_what_the_levels_learn():
    """Cells of 40 and 80 pixels; the central fifth of a box reaches over one cell each."""
    result = fit(objects([(0, 10, 20, 20), (0, 10, 22, 22), (1, 10, 20, 20), (0, 35, 100, 100),
                          (0, 300, 200, 200)]), GRIDS, RANGES, 0.2)
    assert result.level_objects.tolist() == [4, 1]
    assert result.learned.tolist() == [True] * 4 + [False]           # 300 is in no range
    assert result.crowded_out.tolist() == [True, True, False, False, False]
    assert result.shared_cells == 1 / 4                  # (0, 0) of image 0; (0, 0) of image 1,
    assert result.loss() == 3 / 5                        # and a cell of each level of image 0
    assert result.settings() == "'num_grids=(8,4)' 'scale_ranges=((1,40),(30,200))'"


def test_it_agrees_with_the_training_targets(shapes_dir):
    cfg = get_config("quickstart", train_short_sides=(64,), train_max_side=96, size_divisor=16,
                     scale_ranges=((1, 16), (12, 20), (16, 32), (24, 30), (28, 32)))
    dataset = CocoDataset(shapes_dir / "train.json", shapes_dir / "train")
    found = survey(dataset, cfg)
    result = fit(found, cfg.num_grids, cfg.scale_ranges, cfg.center_region)
    resize, learned, level_objects = Resize(64, 96), [], np.zeros(5, int)
    for index in range(len(dataset)):
        sample = resize(dataset.sample(index), None)
        height, width = (-(-side // 16) * 16 for side in sample["image"].shape[:2])
        owners, cells = positive_cells(sample["masks"], sample["boxes"], (height, width),
                                       cfg.num_grids, cfg.scale_ranges, cfg.center_region)
        learned += [number in owners for number in range(len(sample["boxes"]))]
        levels = np.searchsorted(np.cumsum(np.square(cfg.num_grids)), cells, side="right")
        for _, level in set(zip(owners.tolist(), levels.tolist(), strict=True)):
            level_objects[level] += 1
    assert result.learned.tolist() == learned and len(set(learned)) == 2
    assert result.level_objects.tolist() == level_objects.tolist()


@pytest.mark.parametrize("rows", [[], [(0, 10, 20, 20)]])
def test_few_objects_or_none(rows):
    cfg = SimpleNamespace(num_grids=GRIDS, scale_ranges=RANGES, center_region=0.2)
    result = propose(objects(rows), cfg)
    assert result.loss() == 0 and result.shared_cells == 0 and result.num_grids == GRIDS


def test_the_published_ranges_follow_from_such_sizes():
    published = get_config("solov2_r50_fpn_1x").scale_ranges
    sizes = np.interp(np.linspace(0, 1, 1001), (0, 0.20, 0.95, 1), (1, 48, 768, 900))
    assert propose_ranges(sizes, published) == published


def test_ranges_cover_every_size_and_overlap():
    for sizes in (np.full(50, 100.0), np.geomspace(2, 4000, 200), np.array([7.0])):
        ranges = propose_ranges(sizes, ((1, 64), (32, 128), (64, 256), (128, 1024)))
        assert ranges[0][0] == 1 and ranges[-1][1] >= 2 * sizes.max()
        assert all(low < high for low, high in ranges)
        assert all(below[1] > above[0] for below, above in zip(ranges, ranges[1:], strict=False))


def test_grids_grow_until_neighbours_part():
    """At 108 and 120, two pixels wide in the middle: cells of 16 pixels part them at 112."""
    pairs = objects([(image, 10, x, 100) for image in range(30) for x in (108, 120)])
    assert propose_grid(pairs, 8, (1, 40), 0.2) == 20
    apart = objects([(image, 10, x, 100) for image in range(30) for x in (60, 220)])
    assert propose_grid(apart, 8, (1, 40), 0.2) == 8
    same = objects([(image, 10, 100, 100) for image in (0, 0, 1, 1, 2, 2)])
    assert propose_grid(same, 8, (1, 40), 0.2) == 8                   # nothing parts these


@pytest.fixture
def folder(tmp_path):
    """Eight drawn images."""
    write_split(tmp_path, "train", 8, seed=5, size=96)
    return tmp_path


def check(folder, *more, split="train"):
    sets = [f"{name}_{kind}" for name in ("train", "val")
            for kind in (f"json={folder}/train.json", f"images={folder}/train")]
    return check_dataset.main(["-o", *sets, *more, "--split", split, "--output", f"{folder}/out"])


def edit(folder, change):
    path = folder / "train.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_good_set(folder, capsys):
    assert check(folder) == 0
    page = capsys.readouterr().out
    content = json.loads((folder / "train.json").read_text())
    count = sum(1 - entry["iscrowd"] for entry in content["annotations"])
    assert f"8 images, {count} objects" in page and "no problems" in page
    assert "verdict: everything can be used" in page and len(page.splitlines()) < 60
    assert page.startswith((folder / "out" / "report.txt").read_text())
    used = {entry["image_id"] for entry in content["annotations"] if not entry["iscrowd"]}
    pictures = sorted((folder / "out").glob("*.jpg"))
    assert len(pictures) == len(used)
    plain = cv2.imread(str(folder / "train" / pictures[0].name.split("_")[1]))
    assert np.abs(cv2.imread(str(pictures[0])).astype(int) - plain).mean() > 2       # drawn on


def test_the_proposal_can_be_used_as_it_is_printed(folder, capsys):
    check(folder)
    line, = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  -o ")]
    settings = [setting.strip("'") for setting in line.split()[1:]]
    assert check(folder, *settings) == 0


def test_problems_are_named_and_change_the_exit_code(folder, capsys):
    def damage(content):
        first, second, third = content["annotations"][:3]
        content["annotations"].append({**first, "id": 900})          # the same object again
        second["segmentation"], second["iscrowd"], second["id"] = [[1, 1, 2]], 0, 901
        third.update(image_id=55, id=902)
        speck = [[5.1, 5.1, 5.2, 5.1, 5.2, 5.2]]
        content["annotations"].append({**first, "id": 903, "segmentation": speck, "iscrowd": 0})
    edit(folder, damage)
    images = folder / "train"
    (images / "000003.jpg").write_bytes((images / "000003.jpg").read_bytes()[:400])
    (images / "000005.jpg").write_bytes((images / "000004.jpg").read_bytes())
    assert check(folder) == 1
    page, names = capsys.readouterr().out, (folder / "out" / "problems.txt").read_text()
    for expected in ("000005.jpg' is (", "annotations do not fit", "000003.jpg' is truncated",
                     "annotation 901 of 000001.jpg", "annotation 902 of image 55",
                     "annotation 903 of 000001.jpg", "annotation 900 of 000001.jpg"):
        assert expected in names, expected
    assert "2 images that cannot be used (skipped)" in page and "verdict: a run would go on" in page
    assert check(folder, "max_broken_images=0.0") == 2
    assert check(folder, split="val") == 2
    assert "verdict: a run would stop" in capsys.readouterr().out


def test_missing_images(folder, capsys):
    (folder / "train" / "000001.jpg").unlink()
    assert check(folder, "max_broken_images=0.2") == 1
    assert "1 images that are missing (skipped): 000001.jpg" in capsys.readouterr().out
    assert check(folder) == 2                                        # one of 8 is more than 1 %
    for path in (folder / "train").iterdir():
        path.unlink()
    assert check(folder) == 2


@pytest.mark.parametrize("orientation, side, noticed", [(1, 30, False), (3, 30, True),
                                                        (6, 30, False), (6, 20, True)])
def test_what_exif_leaves_open(tmp_path, orientation, side, noticed):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (side, 20)).save(tmp_path / "image.jpg", exif=exif)
    assert maybe_turned((tmp_path / "image.jpg").read_bytes(), (20, side)) == noticed


def test_images_that_are_nearly_black_are_noticed(folder, capsys):
    path = folder / "train" / "000001.jpg"
    cv2.imwrite(str(path), cv2.imread(str(path)) // 16)
    assert check(folder) == 0
    assert "1 images without a pixel above 31 of 255" in capsys.readouterr().out


@pytest.mark.parametrize("color, dark", [((31, 31, 31), True), ((33, 0, 0), False),
                                         ((0, 0, 31), True), ((200, 200, 200), False)])
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_dark_is_judged_by_every_pixel(tmp_path, color, dark, suffix):
    """Also where a glance at a JPEG sees only means: here one bright block, or none."""
    image = np.zeros((90, 130, 3), np.uint8)
    image[40:48, 64:72] = color
    path = str(tmp_path / f"image.{suffix}")
    cv2.imwrite(path, image, [cv2.IMWRITE_JPEG_QUALITY, 100])
    coco_file(tmp_path, f"image.{suffix}", (90, 130))
    found = survey(CocoDataset(tmp_path / "set.json", tmp_path), get_config("quickstart"))
    assert (DARK in found.problems) == (dark and cv2.imread(path).max() < 32)
    assert len(found) == 1


def coco_file(folder, name, size):
    box = [[1, 1, 60, 1, 60, 60, 1, 60]]
    (folder / "set.json").write_text(json.dumps({
        "images": [{"id": 1, "file_name": name, "height": size[0], "width": size[1]}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": box}],
        "categories": [{"id": 1, "name": "box"}]}))


@pytest.mark.parametrize("size", [(90, 130), (8, 8), (7, 9), (97, 71)])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_glance_has_the_size_and_the_faults_of_a_whole_look(tmp_path, size, orientation):
    rng, exif = np.random.default_rng(0), Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "image.jpg"
    Image.fromarray(rng.integers(0, 255, (*size, 3), np.uint8)).save(path, exif=exif)
    data = path.read_bytes()
    for stated in (size, size[::-1], (size[0] + 1, size[1])):
        coco_file(tmp_path, "image.jpg", stated)
        dataset = CocoDataset(tmp_path / "set.json", tmp_path)
        for content in (data, data[:len(data) // 2], data[:-2], b"no image"):
            said = []
            for look in (dataset.glance, dataset.decode):
                try:
                    said.append(look(0, content) is None)
                except UserError as error:
                    said.append(str(error))
            assert said[0] == said[1]


def test_copies_and_objects_that_vanish_in_the_resize(folder, capsys):
    def add(content):
        first, second = content["images"][:2]
        second.update(height=first["height"], width=first["width"])
        size = first["height"], first["width"]
        content["annotations"] = [entry for entry in content["annotations"]
                                  if entry["image_id"] != second["id"]]
        content["annotations"].append({
            "id": 900, "image_id": first["id"], "category_id": 1, "iscrowd": 0,
            "segmentation": {"size": size, "counts": [size[0] * size[1] - 1, 1]}})
    edit(folder, add)
    (folder / "train" / "000002.jpg").write_bytes((folder / "train" / "000001.jpg").read_bytes())
    assert check(folder, "train_short_sides=(32,)", "train_max_side=32") == 1
    page = capsys.readouterr().out
    assert "1 files that are copies of each other (used): 000001.jpg = 000002.jpg" in page
    assert "lose their last pixel" in page and "annotation 900 of 000001.jpg" in page


def test_a_mistake_is_one_sentence_and_exit_code_2(folder):
    done = subprocess.run([sys.executable, "-m", "tools.check_dataset", "-o",
                           f"train_json={folder}/none.json"], capture_output=True, text=True,
                          cwd=Path(__file__).resolve().parents[1])
    assert done.returncode == 2 and done.stderr.count("error:") == 1 and "none.json" in done.stderr


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the real data of ../shared/data")
@pytest.mark.parametrize("name, json_name, text", [
    ("fruits_nuts", "trainval.json", "18 images, 165 objects (9.2 per image"),
    ("coco_fixture", "instances.json", "3 crowd regions (2.6 % of the annotations)")])
def test_real_sets(tmp_path, capsys, name, json_name, text):
    code = check_dataset.main(["-o", f"train_json={SHARED / name / json_name}",
                               f"train_images={SHARED / name / 'images'}", "--pictures", "3",
                               "--output", str(tmp_path)])
    assert code == 0 and text in capsys.readouterr().out
    assert len(list(tmp_path.glob("*.jpg"))) == 3


@pytest.mark.parametrize("size, options", [
    ((37, 61), (64, 96, "cv2", "round")), ((61, 37), (20, 30, "cv2", "round")),
    ((90, 70), (32, 50, "cv2", "fractional")), ((50, 80), (123, 400, "pil", "round")),
    ((4, 700), (64, 96, "cv2", "round")), ((61, 37), (40, 56, "cv2", "round", True)),
    ((90, 70), (32, 50, "cv2", "fractional", True))])
def test_extents_are_those_of_the_resized_masks(size, options):
    rng = np.random.default_rng(sum(size))
    masks = np.stack([np.zeros(size, bool), np.ones(size, bool), rng.random(size) < 0.01,
                      rng.random(size) < 0.5, np.zeros(size, bool)])
    masks[4, 1:3, 5:9] = True
    plan = ResizePlan(size, *options)
    boxes, *centers = extents([mask_to_rle(mask) for mask in masks], size, plan)
    np.testing.assert_array_equal(boxes, masks_to_boxes(masks))
    sample = {"image": np.zeros((*size, 3), np.uint8), "masks": masks, "boxes": boxes}
    resized = Resize(*options)(sample, None)
    assert resized["masks"].shape[1:] == plan.shape
    for found, expected in zip(centers, mass_centers(resized["masks"]), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-9)
    limits = np.float32([*plan.size[::-1]] * 2)
    np.testing.assert_array_equal(np.clip(boxes * plan.scale, 0, limits), resized["boxes"])
    assert extents([], size, plan)[0].shape == (0, 4)


def test_nothing_to_learn_from_is_exit_code_2(folder, capsys):
    edit(folder, lambda content: content.update(annotations=[]))
    assert check(folder, "empty_images=1.0") == 2
    assert "no object to learn from" in capsys.readouterr().out


def test_objects_that_no_level_covers_are_exit_code_2(folder, capsys):
    assert check(folder, "scale_ranges=((900,901),(901,902),(902,903),(903,904),(904,905))") == 2
    assert "scale_ranges" in capsys.readouterr().out


def test_a_sample_looks_at_few_images(folder, capsys):
    assert check_dataset.main(["-o", f"train_json={folder}/train.json",
                               f"train_images={folder}/train", "--sample", "3", "--output",
                               f"{folder}/out"]) == 0
    page = capsys.readouterr().out
    assert "3 of them looked at" in page and len(list((folder / "out").glob("*.jpg"))) <= 3


@pytest.mark.parametrize("name, size", [("n" * 250 + ".png", (20, 30)), ("\u56fe" * 80 + ".png",
                                        (20, 30)), ("wide.png", (3, 66000))])
def test_long_names_and_sides(tmp_path, capsys, name, size):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((*size, 3), 99, np.uint8))
    (tmp_path / "a.png").rename(tmp_path / name)
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0,
                  "segmentation": [[1, 0, 25, 0, 25, 3, 1, 3]]}
    if max(size) > 1000:
        annotation["segmentation"] = [[1, 0, 30000, 0, 30000, 3, 1, 3]]
    (tmp_path / "train.json").write_text(json.dumps({
        "images": [{"id": 1, "file_name": name, "height": size[0], "width": size[1]}],
        "annotations": [annotation], "categories": [{"id": 1, "name": "box"}]}))
    (tmp_path / "train").symlink_to(tmp_path)
    assert check(tmp_path) == 0
    written = list((tmp_path / "out").glob("*.jpg"))
    assert len(written) == (max(size) < 1000)
    assert ("no picture of wide.png" in capsys.readouterr().out) == (max(size) > 1000)
