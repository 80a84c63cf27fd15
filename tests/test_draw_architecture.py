"""The pictures of docs/architecture.md are those that the code draws now."""
import xml.etree.ElementTree as ElementTree

import pytest

from tests.builders import ROOT
from tools.draw_architecture import network, rooms
from tools.draw_architecture.__main__ import PICTURES, main

AGAIN = "run python -m tools.draw_architecture and commit what it writes"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A folder with both pictures, drawn now."""
    folder = tmp_path_factory.mktemp("pictures")
    main(["--output", str(folder)])
    return folder


@pytest.mark.parametrize("name", PICTURES)
def test_the_pictures_in_docs_are_current(drawn, name):
    written = (ROOT / "docs/architecture" / name).read_text(encoding="utf-8")
    assert written == (drawn / name).read_text(encoding="utf-8"), AGAIN
    assert len(ElementTree.fromstring(written)) > 20


def test_shapes_do_not_depend_on_the_size_that_they_are_read_from():
    small, large = network.shapes((64, 96), "quickstart"), network.shapes((128, 160), "quickstart")
    for name in ("c2", "c5", "p2", "p5", "mask_features"):
        assert network.relative(small[name], (64, 96)) == network.relative(large[name], (128, 160))
    assert network.relative(small["c4"], (64, 96)) == "64 × H/16 × W/16"
    assert small["category"] == large["category"] and small["kernels"][0] == [32, 24, 24]


HOUSE = {"roof": {"hall", "cellar"}, "hall": {"cellar"}, "shed": {"cellar"}, "cellar": set()}


def test_floors_and_arrows_by_hand():
    assert rooms.floors(HOUSE) == [["cellar"], ["hall", "shed"], ["roof"]]
    assert rooms.arrows(HOUSE) == [("hall", "cellar"), ("roof", "hall"), ("shed", "cellar")]
    assert rooms.everything_below(HOUSE)["roof"] == {"hall", "cellar"}


def test_a_circle_of_rooms_ends_and_shows_both_arrows():
    circle = {"a": {"b", "c"}, "b": {"a"}, "c": set()}
    assert sorted(sum(rooms.floors(circle), [])) == ["a", "b", "c"]
    assert {("a", "b"), ("b", "a"), ("a", "c")} <= set(rooms.arrows(circle))


def test_rooms_are_those_of_the_files():
    imports = rooms.room_imports()
    assert {"model", "config", "convert", "scripts", "tools/data", "tools/explain"} <= set(imports)
    assert imports["model"] == imports["config"] == set()
    assert "model" in imports["tools/explain"] and "tools/data" in rooms.everything_below(
        imports)["scripts"]
    assert rooms.KNOWLEDGE.keys() >= imports.keys(), "name the new room in KNOWLEDGE"
