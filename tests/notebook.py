"""Runs the code cells of docs/tour.ipynb from top to bottom, as a notebook would.

python -m tests.notebook stores what they print and show in the file.  Needs no notebook packages:
a cell's last expression is shown if it is a picture, and printed otherwise.
"""
import ast
import base64
import contextlib
import io
import json
import sys
from pathlib import Path

NOTEBOOK = Path(__file__).resolve().parent.parent / "docs/tour.ipynb"


def run_cell(source, names):
    """The outputs of one cell, as the file format writes them; `names` are its variables."""
    tree, printed, shown = ast.parse(source), io.StringIO(), None
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "<cell>", "exec"), names)
        if last:
            shown = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
    outputs = []
    if printed.getvalue():
        outputs.append({"output_type": "stream", "name": "stdout",
                        "text": printed.getvalue().splitlines(keepends=True)})
    if shown is not None:
        outputs.append({"output_type": "display_data", "metadata": {}, "data": shown_data(shown)})
    return outputs


def shown_data(value):
    if hasattr(value, "convert"):                    # a Pillow image
        file = io.BytesIO()
        value.convert("RGB").save(file, "JPEG", quality=80)
        return {"image/jpeg": base64.b64encode(file.getvalue()).decode()}
    return {"text/plain": [repr(value)]}


def run_notebook(path=NOTEBOOK):
    """(the notebook with the outputs of this run, the variables at its end)."""
    notebook, names, count = json.loads(path.read_text(encoding="utf-8")), {}, 0
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            count += 1
            cell["outputs"] = run_cell("".join(cell["source"]), names)
            cell["execution_count"] = count
    return notebook, names


def main():
    notebook, _ = run_notebook()
    NOTEBOOK.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n",
                        encoding="utf-8")
    print(NOTEBOOK, f"{NOTEBOOK.stat().st_size / 1000:.0f} kB", file=sys.stderr)


if __name__ == "__main__":
    main()
