"""python -m tools: every command with one line about it."""
import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main_file(path):
    """Whether a Python file can be run: it ends in `if __name__ == "__main__":`."""
    return '\nif __name__ == "__main__":' in path.read_text(encoding="utf-8")


def command_of(path):
    """How a file below the root is started: python train.py, python -m tools.plot_log."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    if len(parts) == 1:
        return f"python {parts[0]}.py"
    return "python -m " + ".".join(parts).removesuffix(".__main__")


def first_sentence(path):
    """The first sentence of a file's docstring, without the command that may follow it."""
    text = " ".join((ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split())
    sentence = text.partition(". ")[0].removesuffix(".")
    return sentence.partition(": python")[0].partition("?")[0]


def commands():
    """[(command, sentence)] of the scripts, of convert, and of tools, in this order."""
    files = [*sorted(ROOT.glob("*.py")), *sorted(ROOT.glob("convert/**/*.py")),
             *sorted(ROOT.glob("tools/**/*.py"))]
    return [(command_of(path), first_sentence(path)) for path in files
            if path != Path(__file__).resolve() and main_file(path)]


def main():
    rows = commands()
    width = max(len(command) for command, _ in rows)
    print(*(f"{command:{width}}  {sentence}" for command, sentence in rows), sep="\n")
    print("\nEach explains its options with --help.")


if __name__ == "__main__":
    main()
