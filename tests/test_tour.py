"""docs/tour.md, docs/architecture.md and the notebook: current, and the same in both languages."""
import json
import os
import re
import subprocess
import sys
import time

import pytest

from tests.builders import ROOT
from tests.notebook import NOTEBOOK, run_cell

DOCS, MINUTES = ROOT / "docs", 3
PAGES = ("tour.md", "architecture.md")
RUN = """
from tests.notebook import run_notebook
notebook, names = run_notebook()
print(names["history"][0], names["history"][-1], len(names["found"].instances))
"""


def text_of(name):
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_the_chinese_page_has_the_same_headings_code_and_pictures(name):
    english, chinese = text_of(name), text_of(f"cn/{name}")
    for pattern in (r"^#+ ", r"^```\w*$", r"^\$\$.*\$\$$", r"^\| "):
        assert len(re.findall(pattern, english, re.M)) == len(re.findall(pattern, chinese, re.M))
    blocks = [re.findall(r"```.*?```", text, re.S) for text in (english, chinese)]
    formulas = [re.findall(r"\$\$.*?\$\$", text, re.S) for text in (english, chinese)]
    assert blocks[0] == blocks[1] and formulas[0] == formulas[1]
    assert [os.path.basename(path) for path in re.findall(r"!\[.*?\]\((.*?)\)", english)] == [
        os.path.basename(path) for path in re.findall(r"!\[.*?\]\((.*?)\)", chinese)]


@pytest.mark.parametrize("name", [*PAGES, *(f"cn/{name}" for name in PAGES)])
def test_links_and_files_that_the_pages_name_exist(name):
    text = text_of(name)
    for target in re.findall(r"\]\((?!http)(.*?)\)", text):
        assert ((DOCS / name).parent / target).is_file(), target
    for path in re.findall(r"`((?:model|tools|config|convert)/[\w/]+\.py)`", text):
        assert (ROOT / path).is_file(), path


def test_functions_that_the_tour_names_are_there():
    code = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "model").glob("*.py"))
    for name in ("build_solov2", "level", "candidates", "learning_levels", "center_regions",
                 "cells_of_centers", "category_loss", "mask_loss", "solov2_loss"):
        assert f"`{name}`" in text_of("tour.md") and f"def {name}(" in code, name


def test_pictures_are_small():
    pictures = list(DOCS.glob("**/tour/*.jpg"))
    assert len(pictures) >= 6 and all(path.stat().st_size < 200_000 for path in pictures)


def test_the_notebook_runs_from_top_to_bottom():
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", RUN], cwd=DOCS, capture_output=True, text=True,
                          timeout=60 * MINUTES, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    first, last, found = map(float, done.stdout.split())
    assert last < 0.9 * first and found > 5
    assert time.monotonic() - started < 60 * MINUTES


def test_the_notebook_is_stored_with_what_it_showed():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert all(cell["outputs"] for cell in code), "run python -m tests.notebook"
    assert sum("image/jpeg" in output.get("data", ()) for cell in code
               for output in cell["outputs"]) >= 4


def test_a_cell_shows_what_a_notebook_would():
    names = {}
    assert run_cell("x = 2", names) == [] and names["x"] == 2
    printed, shown = run_cell("print('a')\nx + 1", names)
    assert printed["text"] == ["a\n"] and shown["data"] == {"text/plain": ["3"]}
