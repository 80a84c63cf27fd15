"""The pages: links lead somewhere, commands exist, both languages say the same."""
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from config import CONFIGS, config_class, get_config
from tools.__main__ import commands

ROOT = Path(__file__).resolve().parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]
PAIRS = [(ROOT / "README.md", ROOT / "README_cn.md"),
         *((ROOT / "docs" / page.name, page) for page in sorted(ROOT.glob("docs/cn/*.md")))]
CODE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)


def text_of(page):
    return page.read_text(encoding="utf-8")


def blocks(page, language):
    return [body for kind, body in CODE.findall(text_of(page)) if kind == language]


def shell_commands(page):
    """The commands of a page's bash blocks, a list of words each, with continued lines joined."""
    for body in blocks(page, "bash"):
        for line in body.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield words


def python_commands():
    """[(page name, words after the interpreter)] of every call of a script or module of ours."""
    calls = []
    for page in PAGES:
        for words in shell_commands(page):
            while words and "=" in words[0]:                    # VARIABLE=value python ...
                words = words[1:]
            if words and re.search(r"(^|/)python3?$", words[0]):
                calls.append((page.name, words[1:]))
    return calls


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    text = CODE.sub("", text_of(page))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:|mailto:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path) if path else page
        assert linked.exists(), target
        if anchor and linked.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", text_of(linked), re.M)
            assert anchor in [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
                              for heading in headings], target


def test_files_that_the_pages_name_exist():
    for page in PAGES:
        for word in re.findall(r"`((?:tools|model|config|convert|tests|docs)/[\w/]+\.\w+)`",
                               text_of(page)):
            assert (ROOT / word).exists(), f"{page.name}: {word}"


def test_commands_of_the_pages_exist():
    known = {command.removeprefix("python ") for command, _ in commands()} | {"-m tools"}
    calls = python_commands()
    assert len(calls) > 10
    for page, words in calls:
        name = " ".join(words[:2]) if words[0] == "-m" else words[0]
        if words[0] == "-m" and words[1] in ("pip", "venv", "pytest", "paddle.distributed.launch"):
            continue
        if words[0].startswith("-"):
            assert name in known, f"{page}: python {' '.join(words)}"
        else:
            assert (ROOT / words[0]).is_file(), f"{page}: python {' '.join(words)}"


def help_text(name, known={}):  # noqa: B006 - one call of each script
    if name not in known:
        done = subprocess.run([sys.executable, *name.split(), "--help"], cwd=ROOT, timeout=100,
                              capture_output=True, text=True)
        known[name] = done.stdout
    return known[name]


@pytest.mark.slow
def test_flags_and_settings_of_the_pages_exist():
    settings = set(get_config("quickstart").as_dict())
    for page, words in python_commands():
        if words[:2] == ["-m", "paddle.distributed.launch"]:
            words = words[next(i for i, word in enumerate(words) if word.endswith(".py")):]
        if words[0] == "-m" and words[1] in ("pip", "venv", "pytest"):
            continue
        name = " ".join(words[:2]) if words[0] == "-m" else words[0]
        if name == "-m tools.benchmark" and len(words) > 2:
            name += f" {words[2]}"
        for number, word in enumerate(words):
            flag, _, value = word.partition("=")
            if flag.startswith("--"):
                assert flag in help_text(name), f"{page}: {name} {flag}"
            value = value or (words + [""])[number + 1]
            if flag == "--config" and value not in ("N", "NAME"):
                assert value in CONFIGS or config_class(CONFIGS[int(value)]), f"{page}: {word}"
            if re.fullmatch(r"[a-z_]+=.*", word):
                assert flag in settings, f"{page}: -o {word}"


@pytest.mark.parametrize("english, chinese", PAIRS, ids=lambda page: page.name)
def test_both_languages_have_the_same_parts_and_commands(english, chinese):
    def outline(page):
        return re.findall(r"^(#+) ", CODE.sub("", text_of(page)), re.M)

    def code(page):
        return [(kind, [line.partition("#")[0].rstrip() for line in body.splitlines()])
                for kind, body in CODE.findall(text_of(page))]

    assert outline(english) == outline(chinese)
    assert code(english) == code(chinese)
    assert len(re.findall(r"[\u4e00-\u9fff]", text_of(chinese))) > 300


def test_the_first_page_is_short():
    assert len(text_of(ROOT / "README.md").splitlines()) <= 130
