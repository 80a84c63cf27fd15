"""Foreign values in messages: bounded, escaped, and never walked into."""
import time

import numpy as np
import pytest

from tools.errors import printable, shown


def doubled(levels):
    """A tuple that holds itself twice per level: 2**levels items to whoever walks it."""
    value = ()
    for _ in range(levels):
        value = (value, value)
    return value


@pytest.mark.parametrize("value, text", [
    ("conv1.weight", "conv1.weight"), ("猫 é", "猫 é"), ("", ""), ("a" * 90, "a" * 80 + "..."),
    ("\x1b[2J\nwritten: x", "\\x1b[2J\\nwritten: x"), ("\x9b\u202e\ud800", "\\x9b\\u202e\\ud800"),
    (b"PK\3", "b'PK\\x03'"), (bytes(100), repr(bytes(20)) + "..."), (3, "3"), (None, "None"),
    (True, "True"), (0.5, "0.5"), (10**5000, "<int>"), ((2, 3), "(2, 3)"), ([1.5], "[1.5]"),
    (("a",), "<tuple>"), (tuple(range(9)), "<tuple>"), ({}, "<dict>"), (np.zeros(3), "<ndarray>")],
    ids=lambda _: "")
def test_shown(value, text):
    assert shown(value) == text


@pytest.mark.parametrize("value", [doubled(60), ["x" * 1_000_000] * 3000, [10**4000], "x" * 10**7],
                         ids=["tuple", "list", "number", "text"])
def test_shown_is_short_and_quick(value):
    started = time.process_time()
    assert len(shown(value)) < 100
    assert time.process_time() - started < 1


def test_printable_keeps_what_it_is_told():
    assert printable("a\n\tb\x1b", keep="\n") == "a\n\\tb\\x1b"
