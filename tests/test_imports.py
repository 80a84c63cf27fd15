"""Imports run downwards: scripts and tests -> convert -> tools -> model; config stands alone.

Inside tools they run from a floor to the floors below it, and no two packages need each other.
"""
import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {"config": {"config"}, "model": {"model"}, "tools": {"tools", "model", "config"},
              "convert": {"convert", "tools", "model", "config"},
              "": {"convert", "tools", "model", "config"}}           # "": the scripts
# The rooms of tools, lowest floor first.  What is not listed is a command: it stands on top.
FLOORS = ({"errors", "files", "runtime", "cli", "progress", "stopping", "finishing", "version",
           "vulkan", "quiet", "cores"},
          {"data", "weights", "distributed", "download", "partial_file"},
          {"engines"},
          {"inference"},
          {"evaluation", "export", "training"})
SCRIPTS = {path.stem for path in ROOT.glob("*.py")}
PATTERNS = ("*.py", *(f"{folder}/**/*.py" for folder in MAY_IMPORT if folder), "tests/**/*.py")
FILES = [path.relative_to(ROOT) for pattern in PATTERNS for path in sorted(ROOT.glob(pattern))]


def imported_modules(path):
    """Dotted names that a file imports, anywhere in it ("tools.files", however it is written)."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import in line {node.lineno}"
            if node.module == "tools":
                yield from (f"tools.{alias.name}" for alias in node.names)
            else:
                yield node.module


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_run_downwards(path):
    package = path.parts[0] if len(path.parts) > 1 else ""
    allowed = MAY_IMPORT.get(package, MAY_IMPORT[""] | {"tests", "conftest"})
    ours = {name.split(".")[0] for name in imported_modules(ROOT / path)}
    assert ours & (set(MAY_IMPORT) | SCRIPTS | {"tests", "conftest"}) <= allowed


def room(parts):
    """The room of tools that a path or a dotted name belongs to, in parts: tools, room, ..."""
    return parts[1].removesuffix(".py")


def room_imports():
    """{(room, room that it imports): files that do}, of different rooms."""
    arrows = {}
    for path in FILES:
        if path.parts[0] != "tools":
            continue
        for name in imported_modules(ROOT / path):
            if name.startswith("tools.") and room(name.split(".")) != room(path.parts):
                arrows.setdefault((room(path.parts), room(name.split("."))), []).append(str(path))
    return arrows


def floor(name):
    return next((number for number, rooms in enumerate(FLOORS) if name in rooms), len(FLOORS))


def test_rooms_import_from_lower_floors():
    upwards = {arrow: files for arrow, files in room_imports().items()
               if floor(arrow[1]) > floor(arrow[0])}
    assert not upwards


def test_no_circle_of_rooms():
    needs = {}
    for user, used in room_imports():
        needs.setdefault(user, set()).add(used)
        needs.setdefault(used, set())
    while free := {name for name, used in needs.items() if not used & set(needs)}:
        needs = {name: used for name, used in needs.items() if name not in free}
    assert not needs, f"these rooms need each other: {sorted(needs)}"


def test_files_are_seen():
    assert "demo" in SCRIPTS and len(FILES) > 20
    assert {"data", "inference", "training"} <= {user for user, _ in room_imports()}


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_scripts_configure_before_paddle_loads(name):
    lines = [line for line in (ROOT / f"{name}.py").read_text(encoding="utf-8").splitlines()
             if line.startswith(("from ", "import ", "configure()"))]
    assert lines[0].startswith("from tools.runtime import configure") and lines[1] == "configure()"
