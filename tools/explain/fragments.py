"""The parts of the page that do not change: tables and captions, written as HTML.

A number is short to read; its `data-value` (and what one sees on pointing at it) is the whole one.
"""
from html import escape

PYRAMID = 2                        # P2 is the finest level
SMALL = 48                         # pixels of a map that is shown as squares
LONGEST_NAME = 40                  # characters of a class name or file name that are shown


def number(value, digits=3):
    if value is None:
        return "–"
    return f'<span title="{value!r}" data-value="{value!r}">{value:.{digits}f}</span>'


def shown(text):
    """Foreign text, cut and escaped."""
    text = str(text)
    return escape(text if len(text) <= LONGEST_NAME else text[:LONGEST_NAME] + "…")


def badge(level, after=""):
    """The mark of a level in its color."""
    return f'<span class="badge level{level}">P{level + PYRAMID}{after}</span>'


def swatch(color):
    return f'<span class="swatch" style="background:{color}"></span>'


def place(cell, levels):
    """(level, row, column) of a cell counted over all levels."""
    level = max(index for index, entry in enumerate(levels) if entry["first"] <= cell)
    return level, *divmod(cell - levels[level]["first"], levels[level]["side"])


def table(heads, rows, classes=()):
    """Head and body of a table; the cells are HTML already."""
    classes = classes or [""] * len(rows)
    body = "".join(f'<tr class="{kind}">' + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>"
                   for row, kind in zip(rows, classes, strict=True))
    return ("<thead><tr>" + "".join(f"<th>{head}</th>" for head in heads)
            + f"</tr></thead><tbody>{body}</tbody>")


def pyramid(content):
    """A row per map, into which the script puts its channels."""
    rows = []
    for entry in content["pyramid"]:
        name, channels = entry["name"], " × ".join(str(side) for side in entry["shape"])
        level = f'class="level{int(name[1]) - PYRAMID}"' if name[0] == "p" else ""
        kind = "map" + " pyramid" * (name[0] == "p") + " pixels" * (max(entry["size"]) < SMALL)
        rows.append(f'<div class="{kind}" id="{name}"><div><b {level}>{name.upper()}</b><br>'
                    f'{channels}<br>{number(entry["lowest"], 2)} … '
                    f'{number(entry["highest"], 2)}</div></div>')
    return "".join(rows)


def suppression(content, words):
    """The candidates, the best first, beside a picture of the pair that was chosen."""
    entries = content["candidates"]
    if not entries:
        return f'<p>{words["noCandidates"].format(content["settings"]["score_threshold"])}</p>'
    more = content["candidates_left_out"]
    return ('<div class="columns table"><div><div class="scroll"><table id="candidates">'
            + candidates(content, words) + "</table></div>"
            + (f'<p class="note">{words["more"].format(more)}</p>' if more else "")
            + '</div><figure><canvas id="pair-picture"></canvas>'
            '<figcaption id="pair-note"></figcaption></figure></div>')


def candidates(content, words):
    """The table of candidates."""
    rows, kinds = [], []
    for rank, entry in enumerate(content["candidates"], 1):
        level, row, column = place(entry["cell"], content["levels"])
        instance = entry["instance"]
        color = "#d4dbe2" if instance is None else content["instances"][instance]["color"]
        rows.append([
            rank, f"{badge(level)} {row},{column}",
            swatch(color) + shown(content["classes"][entry["class"]]), number(entry["score"]),
            number(entry["maskness"]), number(entry["rescored"]),
            "–" if entry["by"] is None else f"#{entry['by'] + 1}", number(entry["iou"]),
            number(entry["factor"]), number(entry["after"]),
            words["verdict"][entry["fate"]].format(1 + (instance or 0))])
        kinds.append("" if entry["fate"] == "kept" else "gone")
    return table(words["heads"], rows, kinds)


def gallery(content, words, most=9):
    """A caption for the masks of each of the best instances."""
    ones = [] if content["instances"] else [words["nothing"]]
    for instance in content["instances"][:most]:
        entry = content["candidates"][instance["candidate"]]
        level, _, _ = place(entry["cell"], content["levels"])
        ones.append(f'<div class="one"><div class="two"></div>{swatch(instance["color"])}'
                    f'{badge(level)} {shown(content["classes"][entry["class"]])}: '
                    f'{number(entry["score"])} × {number(entry["maskness"])} = '
                    f'<b>{number(entry["rescored"])}</b></div>')
    return "".join(ones)


def lesson_columns(content, words):
    """The grid of a level with its owners, beside the objects that are taught."""
    return ('<div class="columns"><div><div class="tabs" id="lesson-tabs"></div>'
            '<canvas id="lesson-picture"></canvas><p class="note" id="lesson-note"></p>'
            f'<p class="note owner">{words["ownerHint"]}</p></div>'
            '<div class="scroll"><table id="objects">'
            f'{objects(content, words)}</table></div></div>')


def losses_columns(content, words):
    """The grids of both losses, and what they add up to."""
    grids = "".join(f'<figure><figcaption id="{kind}-title"></figcaption>'
                    f'<canvas id="{kind}-picture"></canvas></figure>'
                    for kind in ("category", "mask"))
    return (f'<div class="columns even">{grids}</div>'
            f'<p class="note owner">{words["ownerHint"]}</p><p>{total(content, words)}</p>')


def objects(content, words):
    """The table of the objects that are taught: how many cells of which level own each."""
    lesson, rows = content["lesson"], []
    for index, entry in enumerate(lesson["objects"]):
        owned = [place(cell, content["levels"])[0] for cell, owner in
                 zip(lesson["pairs"]["cell"], lesson["pairs"]["object"], strict=True)
                 if owner == index]
        marks = "".join(badge(level, f" · {owned.count(level)}")
                        for level, on in enumerate(entry["levels"]) if on)
        rows.append([index + 1, swatch(entry["color"]) + shown(content["classes"][entry["class"]]),
                     "", number(entry["scale"], 1), marks])         # "": the script's, a mask
    return table(words["objectHeads"], rows)


def total(content, words):
    """The sentence on both losses."""
    lesson = content["lesson"]
    cells, pairs = (round(count) for count in lesson["counts"])
    return words["total"].format(len(lesson["labels"]), cells,
                                 number(lesson["losses"]["category"], 4),
                                 content["settings"]["mask_loss_weight"], pairs,
                                 number(lesson["losses"]["mask"], 4))
