"""The code that a module's work follows from, as a hash: what it imports of ours, and so on.

Docstrings, comments and spaces do not count.
"""
import ast
import hashlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
OURS = ("model", "tools.engines")               # the floors below do not write exports


def code_hash(*modules, root=ROOT):
    """sha256 of the modules (dotted names) and of all of ours that they import, directly or not."""
    digest, waiting, seen = hashlib.sha256(), sorted(modules), set()
    while waiting:
        name = waiting.pop()
        path = Path(root, *name.split(".")).with_suffix(".py")
        if name in seen or not path.is_file():
            continue
        seen.add(name)
        tree = ast.parse(path.read_bytes())
        digest.update(ast.unparse(without_docstrings(tree)).encode())
        waiting += sorted(imported_modules(tree))
    return digest.hexdigest()


def imported_modules(tree):
    """Dotted names that a module may import of ours, at its top or later."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
    return {name for name in names if name.startswith(tuple(f"{package}." for package in OURS))}


def without_docstrings(tree):
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and is_text(body[0]):
            body[0] = ast.Pass()
    return tree


def is_text(node):
    return (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str))
