"""The picture of the code's rooms: which package imports which, read off the files."""
import ast
from pathlib import Path

from tools.draw_architecture.svg import LEVEL_COLORS, SOFT, arrow, box, drawing, text

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS, COMMANDS, BASE = "scripts", "commands", "base"
TOP_ROOMS = ("config", "model", "convert")
WIDTH, ROW, BOX = 1180, 104, 56
WIDEST = 6                         # rooms side by side
# What a room knows; a room without a sentence here is drawn with its name alone.
KNOWLEDGE = {
    "config": "every setting, once", "model": "SOLOv2 itself", SCRIPTS: "train eval demo test_dev",
    "convert": "foreign checkpoints", BASE: "errors files runtime cli", COMMANDS: "single files",
    "tools/weights": "our weights file", "tools/data": "images, objects, batches",
    "tools/engines": "what runs a network", "tools/inference": "image to instances",
    "tools/evaluation": "AP and reports", "tools/training": "a run and its state",
    "tools/export": "files for users", "tools/explain": "one image, every step",
    "tools/benchmark": "times and memory", "tools/check_dataset": "data before training",
    "tools/draw_architecture": "these pictures"}


def room_of(path):
    """The room of a file below the root, by its parts; None for files that belong to none."""
    parts = path.relative_to(ROOT).parts
    if len(parts) == 1:
        return SCRIPTS
    if parts[0] in TOP_ROOMS:
        return parts[0]
    if len(parts) > 2:
        return "/".join(parts[:2])
    return COMMANDS if '\nif __name__ == "__main__":' in path.read_text(encoding="utf-8") else BASE


def python_files():
    patterns = ("*.py", *(f"{top}/**/*.py" for top in (*TOP_ROOMS, "tools")))
    return [path for pattern in patterns for path in sorted(ROOT.glob(pattern))]


def imported_files(path):
    """The files of ours that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names] + [node.module]
        else:
            continue
        for name in names:
            found = [target for target in (ROOT / f"{name.replace('.', '/')}.py",
                                           ROOT / name.replace(".", "/") / "__init__.py")
                     if target.is_file()]
            yield from found


def room_imports():
    """{room: set of the rooms that it imports}, itself left out."""
    imports = {}
    for path in python_files():
        room = room_of(path)
        imports.setdefault(room, set())
        imports[room] |= {room_of(target) for target in imported_files(path)} - {room}
    return imports


def everything_below(imports):
    """{room: every room that it needs, directly or not}."""
    below = {room: set(direct) for room, direct in imports.items()}
    for _ in imports:
        below = {room: rooms.union(*(below[other] for other in rooms))
                 for room, rooms in below.items()}
    return below


def floors(imports):
    """[[rooms of a floor]], the lowest first: a room lies above all that it imports.

    Rooms that import each other, which there should be none of, stay where they are to each other.
    """
    below = everything_below(imports)
    height = dict.fromkeys(imports, 0)
    for _ in imports:                                        # until the longest way down is found
        height = {room: max((height[other] + 1 for other in imports[room]
                             if room not in below[other]), default=0) for room in imports}
    storeys = [sorted(room for room in imports if height[room] == floor)
               for floor in sorted(set(height.values()))]
    return [storey[start:start + WIDEST] for storey in storeys
            for start in range(0, len(storey), WIDEST)]


def arrows(imports):
    """Sorted (room, imported room), without those that a longer way already says."""
    below = everything_below(imports)
    return sorted((room, other) for room in imports for other in imports[room]
                  if not any(other in below[middle] and middle not in below[other]
                             and room not in below[middle] for middle in imports[room] - {other}))


def places_of(storeys, pairs, height):
    """{room: (x of its middle, y)}: on its floor in the order of the rooms below it."""
    places = {}

    def middle(room):
        below = [places[other][0] for above, other in pairs if above == room and other in places]
        return sum(below) / len(below) if below else WIDTH / 2

    for number, storey in enumerate(storeys):
        width, y = (WIDTH - 48) / len(storey), height - 84 - ROW * number
        order = sorted((middle(room), room) for room in storey)
        places.update({room: (24 + width * (index + 0.5), y)
                       for index, (_, room) in enumerate(order)})
    return places


def rooms_picture():
    """The SVG text."""
    imports = room_imports()
    storeys = floors(imports)
    height = 84 + ROW * len(storeys)
    places = places_of(storeys, arrows(imports), height)
    parts = [text(24, 40, "Rooms", 22, bold=True),
             text(112, 40, "an arrow: imports; what follows from other arrows is not drawn", 14,
                  SOFT)]
    for room, below in arrows(imports):
        (x1, y1), (x2, y2) = places[room], places[below]
        parts.append(arrow((x1, y1 + BOX), (x2, y2)))
    for number, storey in enumerate(storeys):
        for room in storey:
            x, y = places[room]
            lines = [room, *([KNOWLEDGE[room]] if room in KNOWLEDGE else [])]
            parts.append(box(x - 92, y, 184, BOX, lines,
                             stroke=LEVEL_COLORS[number % len(LEVEL_COLORS)]))
    return drawing(WIDTH, height, parts)
