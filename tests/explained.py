"""Pages of tools.explain for the tests, after checks that hold for every page."""
import json
import re
from html.parser import HTMLParser

import cv2
import numpy as np

from tests.builders import ROOT, SLIM, coco_dataset, listed
from tools.explain.__main__ import explain, parse_args

PHOTO = str(ROOT / "images/test/000004.jpg")
VOID_TAGS = ("meta", "img", "br")
MEGABYTES = 1_000_000


class Checker(HTMLParser):
    """Fails where tags do not match; collects the addresses that the page names."""

    def __init__(self):
        super().__init__()
        self.open, self.addresses = [], []

    def handle_starttag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        if tag not in VOID_TAGS:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def page_of(*arguments):
    """(text of the page, the data in it) after checks that hold for every page."""
    text, _, _ = explain(parse_args([*map(str, arguments), "--device", "cpu"]))
    checker = Checker()
    checker.feed(text)
    assert checker.open == [] and all(address[0] == "#" for address in checker.addresses)
    plain = re.sub(r"data:image/[a-z]+;base64,[A-Za-z0-9+/=]+", "", text)
    assert not re.search(r"https?:|\bNaN\b|@import|url\(", plain) and len(text) < 8 * MEGABYTES
    start = text.index('id="data">') + len('id="data">')
    return text, json.loads(text[start:text.index("</script>", start)])


def random_page(tmp_path, name="photo.png", categories=("a",), annotations=(), more=()):
    """The page of a grey photograph under random, slim weights; with annotations if there are."""
    path = tmp_path / name
    cv2.imwrite(str(path), np.full((40, 40, 3), 90, np.uint8))
    arguments = [path, "--config", "1", "--weights", "random", "-o", "test_short_side=64",
                 "test_max_side=96", *(f"{key}={value}" for key, value in SLIM.items())]
    if annotations:
        numbered = [{"id": number, "name": text} for number, text in enumerate(categories, 1)]
        coco_dataset(tmp_path, [listed(1, name, 40, 40), *more], annotations, numbered,
                     training=False)
        json_path = next(tmp_path.glob("*.json"))
        arguments += ["--json", json_path]
    return page_of(*arguments)
