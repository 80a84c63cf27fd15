"""How the tensors of a file differ from those of a model."""
from dataclasses import dataclass

SHOWN = 20                         # names per list of an error


@dataclass
class Misfit:
    """How the tensors of a file differ from those of a config."""

    unknown: list      # only in the file
    missing: list      # only in the model
    shapes: list       # (name, shape in the file, shape in the model)

    def __len__(self):
        return len(self.unknown) + len(self.missing) + len(self.shapes)

    def text(self):
        return "".join(
            f"\n  {title} ({len(lines)}):" + "".join(f"\n    {line}" for line in lines[:SHOWN])
            + (f"\n    ... and {len(lines) - SHOWN} more" if len(lines) > SHOWN else "")
            for title, lines in (
                ("in the file, not in the model", self.unknown),
                ("in the model, not in the file", self.missing),
                ("of another shape", [f"{name}: {list(have)} in the file, {list(want)} in the model"
                                      for name, have, want in self.shapes])) if lines)


def compare(arrays, expected):
    """The Misfit between {name: ndarray} and {name: shape}."""
    return Misfit([f"{name} {list(array.shape)}" for name, array in arrays.items()
                   if name not in expected],
                  [f"{name} {list(shape)}" for name, shape in expected.items()
                   if name not in arrays],
                  [(name, arrays[name].shape, shape) for name, shape in expected.items()
                   if name in arrays and tuple(arrays[name].shape) != shape])
