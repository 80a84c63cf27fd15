"""The picture of the network: its maps with the shapes that the real network gives them."""
import paddle

from config import get_config
from model.solov2 import build_solov2
from tools.draw_architecture.svg import LEVEL_COLORS, SOFT, arrow, box, drawing, text

CONFIG = 0                         # the paper's main model
SIZE = (128, 192)                  # of the input that the shapes are read from: multiples of 64
WIDTH, HEIGHT = 1180, 640
ROW, TOP = 82, 96                  # of the levels, P6 highest
BACKBONE_X, PYRAMID_X, GRID_X, DECODE_X = 160, 330, 520, 900


def shapes(size=SIZE, config=CONFIG):
    """{name: shape} of every map: c2..c5, p2..p6, category, kernels (lists), mask_features."""
    paddle.seed(0)
    model = build_solov2(get_config(config))
    model.eval()
    images = paddle.zeros([1, 3, *size])
    with paddle.no_grad():
        maps, outputs = model.features(images), model(images)
    return {**{name: value.shape[1:] for name, value in maps.items()},
            "category": [level.shape[1:] for level in outputs["category_logits"]],
            "kernels": [level.shape[1:] for level in outputs["kernels"]],
            "mask_features": outputs["mask_features"].shape[1:]}


def relative(shape, size=SIZE):
    """[256, 64, 96] of an input of 256 x 384 -> "256 × H/4 × W/4"."""
    channels, height, width = shape
    return f"{channels} × H/{size[0] // height} × W/{size[1] // width}"


def row_y(level):
    """Of P2 (level 0) to P6."""
    return TOP + (4 - level) * ROW


def network_picture():
    """The SVG text."""
    found = shapes()
    parts = [text(24, 40, "SOLOv2", 22, bold=True),
             text(134, 40, f"config {CONFIG}; every shape is read off the network itself", 14,
                  SOFT),
             *headings(), *backbone_and_pyramid(found), *grids(found), *masks(found), *decoding()]
    return drawing(WIDTH, HEIGHT, parts)


def headings():
    places = ((BACKBONE_X, "backbone", "model/resnet.py"), (PYRAMID_X, "pyramid", "model/fpn.py"),
              (GRID_X, "grids: what, and how to draw it", "model/head.py"),
              (DECODE_X, "from masks to instances", "model/decode.py"))
    return [part for x, what, file in places
            for part in (text(x, 70, what, 14, bold=True), text(x, 87, file, 11, SOFT))]


def backbone_and_pyramid(found):
    parts = [box(24, row_y(0), 104, 58, ["images", "3 × H × W"])]
    for level in range(5):
        y, name = row_y(level), f"p{level + 2}"
        parts.append(box(PYRAMID_X, y, 150, 58, [name, relative(found[name])],
                         LEVEL_COLORS[level], "#ffffff", LEVEL_COLORS[level]))
        if level < 4:
            parts.append(box(BACKBONE_X, y, 140, 58, [f"c{level + 2}",
                                                      relative(found[f"c{level + 2}"])]))
            parts.append(arrow((BACKBONE_X + 140, y + 29), (PYRAMID_X, y + 29)))
        if level < 3:
            parts.append(arrow((BACKBONE_X + 70, y), (BACKBONE_X + 70, y - ROW + 58)))
            parts.append(arrow((PYRAMID_X + 75, y - ROW + 58), (PYRAMID_X + 75, y)))
    parts.append(arrow((PYRAMID_X + 75, row_y(3)), (PYRAMID_X + 75, row_y(4) + 58)))
    return [*parts, arrow((128, row_y(0) + 29), (BACKBONE_X, row_y(0) + 29))]


def grids(found):
    """Per level the grid, and both outputs of the head."""
    parts = []
    for level, (category, kernels) in enumerate(zip(found["category"], found["kernels"],
                                                    strict=True)):
        y, side = row_y(level), category[-1]
        parts += [arrow((PYRAMID_X + 150, y + 29), (GRID_X, y + 29)),
                  grid_sign(GRID_X, y, side, LEVEL_COLORS[level]),
                  box(GRID_X + 74, y, 128, 58, ["category", by(category)]),
                  box(GRID_X + 210, y, 134, 58, ["kernels", by(kernels)])]
    return parts


def by(shape):
    return " × ".join(map(str, shape))


def grid_sign(x, y, side, color):
    """A square of side x side cells, drawn with every fourth line."""
    step = 58 * 4 / side
    lines = "".join(f"M{x + step * i:.1f} {y}v58M{x} {y + step * i:.1f}h58"
                    for i in range(1, side // 4))
    return (f'<rect x="{x}" y="{y}" width="58" height="58" fill="{color}" opacity="0.12"/>'
            f'<path d="{lines}" stroke="{color}" stroke-width="0.8"/><rect x="{x}" y="{y}" '
            f'width="58" height="58" fill="none" stroke="{color}"/>')


def masks(found):
    """The mask feature branch, below."""
    y = row_y(0) + ROW + 20
    return [text(PYRAMID_X + 190, y + 18, "mask features", 14, bold=True),
            text(PYRAMID_X + 190, y + 35, "model/mask_feature.py", 11, SOFT),
            arrow((PYRAMID_X + 75, row_y(0) + 58), (PYRAMID_X + 75, y + 73),
                  (GRID_X, y + 73)),
            text(PYRAMID_X + 88, y + 64, "p2 to p5 added", 11, SOFT),
            box(GRID_X, y + 44, 344, 58, ["mask features", relative(found["mask_features"])]),
            arrow((GRID_X + 344, y + 73), (DECODE_X - 18, y + 73), (DECODE_X - 18, row_y(3) + 29),
                  (DECODE_X, row_y(3) + 29))]


def decoding():
    """The steps after the network, one below the other."""
    steps = (("candidates", "sigmoid, points NMS,", "scores above a threshold"),
             ("kernel ∗ mask features", "sigmoid: soft masks"),
             ("maskness", "score × mean probability", "inside the mask"),
             ("Matrix NMS", "decay by better masks", "of the class"),
             ("Instances", "masks pasted into the", "photograph, scores, classes"))
    parts = [arrow((GRID_X + 344, row_y(4) + 29), (DECODE_X, row_y(4) + 29))]
    for number, lines in enumerate(steps):
        y = row_y(4 - number)
        parts.append(box(DECODE_X, y, 250, 62, lines))
        if number:
            parts.append(arrow((DECODE_X + 125, y - ROW + 62), (DECODE_X + 125, y)))
    return parts
