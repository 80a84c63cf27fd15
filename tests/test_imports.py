"""Imports run downwards: scripts and tests -> convert -> tools -> model; config stands alone."""
import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT = {"config": {"config"}, "model": {"model"}, "tools": {"tools", "model", "config"},
              "convert": {"convert", "tools", "model", "config"},
              "": {"convert", "tools", "model", "config"}}           # "": the scripts
SCRIPTS = {path.stem for path in ROOT.glob("*.py")}
PATTERNS = ("*.py", *(f"{folder}/**/*.py" for folder in MAY_IMPORT if folder), "tests/**/*.py")
FILES = [path.relative_to(ROOT) for pattern in PATTERNS for path in sorted(ROOT.glob(pattern))]


def imported_packages(path):
    """Top-level names that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import in line {node.lineno}"
            yield node.module.split(".")[0]


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_run_downwards(path):
    package = path.parts[0] if len(path.parts) > 1 else ""
    allowed = MAY_IMPORT.get(package, MAY_IMPORT[""] | {"tests", "conftest"})
    ours = set(imported_packages(ROOT / path)) & (set(MAY_IMPORT) | SCRIPTS | {"tests", "conftest"})
    assert ours <= allowed


def test_files_are_seen():
    assert "demo" in SCRIPTS and len(FILES) > 20


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_configure_before_paddle_loads(name):
    lines = [line for line in (ROOT / f"{name}.py").read_text(encoding="utf-8").splitlines()
             if line.startswith(("from ", "import ", "configure()"))]
    assert lines[0].startswith("from tools.runtime import configure") and lines[1] == "configure()"
