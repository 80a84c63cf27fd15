"""What the README says and the code can be asked for."""
from pathlib import Path

from convert.published import table

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")


def test_every_published_file_is_in_the_table():
    rows = [line for line in table() if line.startswith("|")]
    assert len(rows) > 25 and all(row in README for row in rows)


def test_files_that_the_readme_names_exist():
    root = Path(__file__).resolve().parent.parent
    for word in README.split("`"):
        if word.endswith(".py") and "/" in word and " " not in word:
            assert (root / word).is_file(), word


def test_nothing_is_left_to_fill_in():
    assert "_NUMBERS" not in README
