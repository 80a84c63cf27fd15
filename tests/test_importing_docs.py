"""docs/own_data.md, in both languages, says what the importer knows."""
import re

import pytest

from tests.builders import ROOT
from tools.data.importing import collection
from tools.data.importing.formats import FORMATS

PAGES = [ROOT / "docs" / "own_data.md", ROOT / "docs" / "cn" / "own_data.md"]


@pytest.mark.parametrize("page", PAGES, ids=["en", "cn"])
def test_every_format_in_the_order_in_which_it_is_tried(page):
    text = page.read_text(encoding="utf-8")
    table = text[text.index("| `--format`"):]
    assert re.findall(r"^\| `([a-z][\w-]*)` \|", table, re.M) == [reader.NAME for reader in FORMATS]


@pytest.mark.parametrize("page", PAGES, ids=["en", "cn"])
def test_reasons_are_those_that_are_printed(page):
    text = page.read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z][a-z ,]+)", text[text.rindex("\n## "):], re.M)
    reasons = {value for name, value in vars(collection).items() if name.isupper()}
    assert len(rows) >= 8 and {row.strip() for row in rows} <= reasons | {"it says"}
