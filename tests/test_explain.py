"""The page of tools.explain: its numbers are the predictor's, and it is whole for every config."""
import json
import re
import string

import cv2
import numpy as np
import paddle
import pytest

from config import CONFIGS, get_config
from model.losses import solov2_loss
from model.soft_masks import sigmoid
from tests.browser import browser_page, find_browser
from tests.builders import ROOT, SLIM, listed, square, truth
from tests.explained import PHOTO, page_of, random_page
from tools.data.images import read_image
from tools.errors import UserError
from tools.explain.__main__ import main
from tools.explain.page import FOLDER, LANGUAGES
from tools.explain.sheets import Sheet
from tools.explain.teaching import teach
from tools.explain.trace import trace, watched
from tools.inference.predictor import Predictor


@pytest.fixture(scope="module")
def quickstart():
    """(predictor, image, its page's data, what the predictor says)."""
    predictor = Predictor(get_config(weights=str(ROOT / "weights/quickstart.pdparams")),
                          device="cpu", engine="dygraph")
    image = read_image(PHOTO)
    text, data = page_of(PHOTO, "-o", f"weights={ROOT}/weights/quickstart.pdparams")
    return predictor, image, text, data


def level_of(data, cell):
    return max(i for i, entry in enumerate(data["levels"]) if entry["first"] <= cell)


def column(entries, key, kind=np.float32):
    return np.array([entry[key] for entry in entries], kind)


def test_results_are_the_predictors_to_the_last_bit(quickstart):
    predictor, image, _, data = quickstart
    found = predictor(image)
    assert len(found) > 5
    np.testing.assert_array_equal(column(data["instances"], "score"), found.scores)
    np.testing.assert_array_equal(column(data["instances"], "class", int), found.class_indices)
    np.testing.assert_array_equal(column(data["instances"], "box"), found.boxes)


def test_cells_hold_the_outputs_of_the_network(quickstart):
    predictor, image, _, data = quickstart
    images, _ = predictor.preprocess(image)
    padded = np.zeros((1, 3, *data["sizes"]["padded"]), np.float32)
    padded[0, :, :images.shape[1], :images.shape[2]] = images
    outputs, cells = predictor.network(padded), data["cells"]
    for level, logits in zip(data["levels"], outputs["category_logits"], strict=True):
        best = sigmoid(logits.numpy()[0]).max(0).ravel()
        shown = np.float32(cells["scores"])[level["first"]:level["first"] + len(best), 0]
        np.testing.assert_array_equal(shown, best)
    kernels = np.concatenate([level.numpy()[0].reshape(len(level[0]), -1).T
                              for level in outputs["kernels"]])
    shown = np.take_along_axis(kernels, np.array(cells["channels"]), 1)
    np.testing.assert_array_equal(shown, np.float32(cells["weights"]))
    np.testing.assert_array_equal(np.float32(data["features"]["highest"]),
                                  outputs["mask_features"].numpy()[0].max((1, 2)))


def test_the_pyramid_is_what_the_forward_pass_saw(quickstart):
    predictor, image, _, data = quickstart
    images, _ = predictor.preprocess(image)
    padded = np.zeros((1, 3, *data["sizes"]["padded"]), np.float32)
    padded[0, :, :images.shape[1], :images.shape[2]] = images
    predictor.engine.model.eval()
    maps = predictor.engine.model.features(paddle.to_tensor(padded))
    assert [entry["name"] for entry in data["pyramid"]] == list(maps)
    for entry in data["pyramid"]:
        values = maps[entry["name"]].numpy()[0]
        assert entry["shape"] == list(values.shape)
        assert entry["lowest"] == values.min() and entry["highest"] == values.max()


def test_candidates_tell_how_every_score_came_about(quickstart):
    _, _, _, data = quickstart
    entered = [entry for entry in data["candidates"] if entry["after"] is not None]
    assert {"kept", "decayed"} <= {entry["fate"] for entry in data["candidates"]}
    np.testing.assert_array_equal(column(entered, "score") * column(entered, "maskness"),
                                  column(entered, "rescored"))
    factors = np.array([1 if entry["by"] is None else entry["factor"] for entry in entered],
                       np.float32)
    np.testing.assert_array_equal(column(entered, "rescored") * factors, column(entered, "after"))
    for entry in entered:
        if entry["by"] is not None:
            better = data["candidates"][entry["by"]]
            assert better["class"] == entry["class"] and better["rescored"] >= entry["rescored"]
            assert 0 < entry["iou"] <= 1
        if entry["fate"] == "kept":
            assert data["instances"][entry["instance"]]["score"] == entry["after"]
    kept = [entry["instance"] for entry in data["candidates"] if entry["fate"] == "kept"]
    assert sorted(kept) == list(range(len(data["instances"])))


def test_points_nms_names_the_better_neighbour(quickstart):
    _, _, _, data = quickstart
    cells, silenced = data["cells"], 0
    for cell, rival in enumerate(cells["rival"]):
        if rival is None:
            assert cells["points"][cell][0] == cells["scores"][cell][0]
        else:
            silenced += 1
            side = data["levels"][level_of(data, cell)]["side"]
            assert cell - rival in (1, side, side + 1)
            assert cells["points"][cell][0] == 0
            assert cells["rivalScore"][cell] > cells["scores"][cell][0]
    assert silenced > 100


def test_losses_of_the_cells_add_up_to_the_losses_of_training(quickstart):
    predictor, image, _, data = quickstart
    found = trace(predictor, image)
    shown = found.instances.select(found.instances.scores >= predictor.cfg.draw_threshold)
    objects = shown.masks, shown.boxes, shown.class_indices
    lesson, taught = teach(found, predictor.cfg, objects), data["lesson"]
    tensors = {name: paddle.to_tensor(value) for name, value in lesson.targets.items()}
    whole = solov2_loss(found.outputs, tensors, [len(lesson.targets["cells"])])
    assert taught["losses"] == {name: float(value) for name, value in whole.items()}
    assert sum(taught["category_losses"]) == pytest.approx(taught["losses"]["category"], rel=1e-5)
    mean = sum(taught["pairs"]["dice"]) / taught["counts"][1]
    assert 3 * mean == pytest.approx(taught["losses"]["mask"], rel=1e-5)
    assert taught["pairs"]["cell"] == lesson.targets["cells"].tolist()
    assert taught["counts"][0] == sum(label >= 0 for label in taught["labels"])


def test_owned_cells_lie_on_the_levels_whose_range_holds_the_object(quickstart):
    _, _, _, data = quickstart
    lesson = data["lesson"]
    assert lesson["pairs"]["cell"]
    for cell, number in zip(lesson["pairs"]["cell"], lesson["pairs"]["object"], strict=True):
        entry = lesson["objects"][number]
        level = level_of(data, cell)
        low, high = data["levels"][level]["range"]
        assert entry["levels"][level] and low <= entry["scale"] <= high
        x1, y1, x2, y2 = entry["box"]
        assert entry["scale"] == pytest.approx(((x2 - x1) * (y2 - y1)) ** 0.5, rel=1e-6)


def test_watching_changes_nothing_and_ends(quickstart):
    predictor, image, _, _ = quickstart
    before, names = predictor(image), set(vars(predictor.decoder))
    found = trace(predictor, image)
    np.testing.assert_array_equal(found.instances.scores, before.scores)
    assert set(vars(predictor.decoder)) == names
    assert "forward" not in vars(predictor.engine.model.fpn)


def test_watched_gives_back_what_was_there_even_after_an_error():
    class Adder:
        def __init__(self):
            self.own = abs

        def add(self, one, two):
            return one + two

    adder = Adder()
    with pytest.raises(TypeError), watched(adder, "add", "own") as calls:
        assert adder.add(1, 2) == 3 and adder.own(-4) == 4
        adder.add(1, None)
    assert calls["add"].arguments == (1, 2) and calls["own"].returned == 4
    assert "add" not in vars(adder) and adder.own is abs


def test_tiles_do_not_touch_each_other():
    sheet = Sheet((5, 11), 600)
    for index in range(600):
        sheet.put(index, np.full((5, 11), index % 251 + 1, np.uint8))
    assert sheet.tile == (8, 16) and sheet.columns == 256 and sheet.pixels.shape == (24, 4096)
    row, col = divmod(599, 256)
    assert (sheet.pixels[row * 8:row * 8 + 5, col * 16:col * 16 + 11] == 599 % 251 + 1).all()
    assert sheet.pixels[5:8].max() == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(CONFIGS)), ids=CONFIGS)
def test_every_config_has_a_page(number):
    settings = [f"{key}={value}" for key, value in SLIM.items()]
    text, data = page_of(PHOTO, "--config", number, "--weights", "random", "-o", *settings,
                         "test_short_side=64", "test_max_side=96", "score_threshold=0.0")
    assert "These weights are random" in text and len(data["levels"]) == 5
    assert len(data["candidates"]) > 100 and data["candidates_left_out"] > 0


def test_nothing_found_and_nothing_taught_is_an_ordinary_page(tmp_path):
    text, data = random_page(tmp_path)
    assert data["candidates"] == data["instances"] == [] and data["lesson"] is None
    assert "there is nothing to suppress" in text and "There is nothing to teach" in text


def test_annotations_teach(tmp_path):
    text, data = random_page(tmp_path, annotations=[truth(square(10, 10, 20))])
    assert "The objects are those of set.json (1)." in text
    entry = data["lesson"]["objects"][0]
    assert entry["box"] == [16, 16, 48, 48] and entry["levels"] == [True, True, False, False, False]


def test_an_annotated_photograph_without_objects_teaches_background(tmp_path):
    other = listed(2, "other.png", 40, 40)
    cv2.imwrite(str(tmp_path / "other.png"), np.full((40, 40, 3), 90, np.uint8))
    text, data = random_page(tmp_path, annotations=[truth(square(10, 10, 20), image_id=2)],
                             more=[other])
    lesson = data["lesson"]
    assert lesson["objects"] == lesson["pairs"]["cell"] == [] and set(lesson["labels"]) == {-1}
    assert lesson["losses"]["mask"] == 0 and lesson["losses"]["category"] > 0


def test_foreign_names_are_escaped_and_cut(tmp_path):
    evil = "</script><img src=x onerror=alert(1)>" + "x" * 60
    text, data = random_page(tmp_path, "a<b>&.png", (evil,), [truth(square(10, 10, 20))])
    assert "<img src=x" not in text and "a&lt;b&gt;&amp;.png" in text
    assert data["classes"] == [evil]


def test_bad_input_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        page_of(tmp_path / "none.jpg")
    with pytest.raises(UserError, match="weights file"):
        page_of(PHOTO, "--weights", tmp_path / "none.pdparams")
    random_page(tmp_path, annotations=[truth(square(10, 10, 20))])
    json_path = next(tmp_path.glob("*.json"))
    with pytest.raises(UserError, match="has no image"):
        page_of(PHOTO, "--json", json_path, "--images", tmp_path)
    with pytest.raises(UserError, match="class 'a', which the network does not know"):
        page_of(tmp_path / "photo.png", "--json", json_path, "-o",
                f"weights={ROOT}/weights/quickstart.pdparams")


def test_command_writes_the_page_in_chinese(tmp_path, capsys):
    output = tmp_path / "folder/page.html"
    main([PHOTO, "--output", str(output), "--language", "zh", "--device", "cpu", "-o",
          f"weights={ROOT}/weights/quickstart.pdparams"])
    text = output.read_text(encoding="utf-8")
    assert '<html lang="zh-CN">' in text and "同一个目标只留一次" in text
    assert re.search(r"MB in \d+\.\d s, \d+\.\d+ s of them the network's", capsys.readouterr().out)


def test_both_languages_say_the_same():
    english, chinese = (json.loads((FOLDER / f"words/{code}.json").read_text(encoding="utf-8"))
                        for code in LANGUAGES)

    def places(value):
        """Keys, and what a sentence has filled in and marks."""
        if isinstance(value, dict):
            return {key: places(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return len(value)
        names = sorted(name for _, name, _, _ in string.Formatter().parse(value) if name)
        return names, sorted(re.findall(r"</?\w+", value))

    assert places(english) == places(chinese)


def test_the_script_stays_short_and_plain():
    script = (FOLDER / "page.js").read_text(encoding="utf-8")
    assert len(script.splitlines()) < 300 and max(map(len, script.splitlines())) <= 120
    assert not re.search(r"\bimport\b|fetch\(|Math\.exp|require", script)


needs_browser = pytest.mark.skipif(find_browser() is None,
                                   reason="no Chromium: apt-get install chromium")


@needs_browser
def test_a_click_on_a_cell_shows_its_numbers(quickstart, tmp_path):
    _, _, text, data = quickstart
    path = tmp_path / "page.html"
    path.write_text(text, encoding="utf-8")
    best = next(candidate for candidate in data["candidates"]
                if None not in (candidate["iou"], candidate["after"]))     # a decayed one
    level = level_of(data, best["cell"])
    side = data["levels"][level]["side"]
    row, col = divmod(best["cell"] - data["levels"][level]["first"], side)
    with browser_page() as page:
        page.open(path)
        page.ask("document.documentElement.style.scrollBehavior = 'auto'; "
                 "document.getElementById('grid-picture').scrollIntoView()")
        page.ask(f"document.querySelectorAll('#grid-tabs button')[{level}].click()")
        box = page.ask("(r => [r.x, r.y, r.width, r.height])"
                       "(document.getElementById('grid-picture').getBoundingClientRect())")
        place = box[0] + (col + 0.5) / side * box[2], box[1] + (row + 0.5) / side * box[3]
        page.click(*place)
        assert page.ask("location.hash") == f"#cell={level}-{row}-{col}"
        shown = page.ask("[...document.querySelectorAll('#cell [data-value]')]"
                         ".map(entry => Number(entry.dataset.value))")
        assert {best[key] for key in ("score", "maskness", "rescored", "iou", "factor",
                                      "after")} <= set(shown)
        page.mouse("mouseMoved", box[0] + 1, box[1] + 1)      # hovering shows, leaving gives back
        assert "0" in page.ask("document.querySelector('#cell h3').textContent")
        assert page.ask("state.hovered !== null && state.cell") == best["cell"]
        owner = data["lesson"]["pairs"]["cell"][0]
        page.ask(f"chooseLesson({level_of(data, owner)})")
        page.ask("document.getElementById('category-picture').scrollIntoView()")
        box = page.ask("(r => [r.x, r.y, r.width, r.height])"
                       "(document.getElementById('category-picture').getBoundingClientRect())")
        side = data["levels"][level_of(data, owner)]["side"]
        row, col = divmod(owner - data["levels"][level_of(data, owner)]["first"], side)
        page.mouse("mouseMoved", box[0] + (col + 0.5) / side * box[2],
                   box[1] + (row + 0.5) / side * box[3])
        paid = page.ask("[...document.querySelectorAll('.owner [data-value]')]"
                        ".map(entry => Number(entry.dataset.value))")
        assert {data["lesson"]["pairs"]["dice"][0],
                data["lesson"]["category_losses"][owner]} <= set(paid)
        assert page.ask("[...document.images].every(image => image.naturalWidth > 0)")


@needs_browser
def test_an_address_chooses_a_cell_and_empty_pages_are_ready(tmp_path):
    text, data = random_page(tmp_path)
    path = tmp_path / "page.html"
    path.write_text(text, encoding="utf-8")
    with browser_page() as page:
        page.open(path, "#cell=4-3-5")
        assert page.ask("state.cell") == data["levels"][4]["first"] + 3 * 12 + 5
        for nonsense in ("#cell=9-0-0", "#cell=4-99-0", "#cell=x"):
            page.ask(f"location.hash = '{nonsense}'; fromAddress()")
            assert page.ask("state.cell") == data["levels"][4]["first"] + 3 * 12 + 5
