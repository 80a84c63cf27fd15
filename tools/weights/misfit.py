"""How the tensors of a file differ from those of a model."""
from dataclasses import dataclass

from tools.errors import shown

SHOWN = 20                         # names per list of an error
WIDTH = 200                        # characters of a line


@dataclass
class Misfit:
    """How the tensors of a file differ from those of a config."""

    unknown: list      # only in the file
    missing: list      # only in the model
    shapes: list       # (name, shape in the file, shape in the model)

    def __len__(self):
        return len(self.unknown) + len(self.missing) + len(self.shapes)

    def text(self):
        """The lists for a message; the names may be those of somebody else's file."""
        shapes = [f"{name}: {list(have)} in the file, {list(want)} in the model"
                  for name, have, want in self.shapes]
        return "".join(block(title, lines) for title, lines in (
            ("in the file, not in the model", self.unknown),
            ("in the model, not in the file", self.missing),
            ("of another shape", shapes)) if lines)


def block(title, lines):
    """A title and its first lines, indented, each on a line of its own."""
    text = f"\n  {title} ({len(lines)}):"
    text += "".join(f"\n    {shown(line, WIDTH)}" for line in lines[:SHOWN])
    return text + (f"\n    ... and {len(lines) - SHOWN} more" if len(lines) > SHOWN else "")


def find_misfit(arrays, expected):
    """The Misfit between {name: ndarray} and {name: shape}."""
    return Misfit([f"{name} {list(array.shape)}" for name, array in arrays.items()
                   if name not in expected],
                  [f"{name} {list(shape)}" for name, shape in expected.items()
                   if name not in arrays],
                  [(name, arrays[name].shape, shape) for name, shape in expected.items()
                   if name in arrays and tuple(arrays[name].shape) != shape])
