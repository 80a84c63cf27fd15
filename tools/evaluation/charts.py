"""Line charts and bars as SVG text, without any library: both axes go from 0 to 1."""
from html import escape

WIDTH, HEIGHT = 460, 300
LEFT, TOP, RIGHT, BOTTOM = 46, 12, 446, 256            # of the plot, in the units of WIDTH
TICKS = (0, 0.2, 0.4, 0.6, 0.8, 1)


def line_chart(series, x_title, y_title, marker=None):
    """A <figure> of lines: [(name, colour, xs [P], ys [P])]; marker: (x, text) of a vertical line.

    Lines that have no point are left out, but stay in the legend.
    """
    parts = [*(axis_tick(tick) for tick in TICKS),
             f'<text x="{(LEFT + RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">'
             f'{escape(x_title)}</text>',
             f'<text transform="translate(12 {(TOP + BOTTOM) / 2}) rotate(-90)" '
             f'text-anchor="middle">{escape(y_title)}</text>']
    if marker:
        parts.append(marker_line(*marker))
    for _, color, xs, ys in series:
        points = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in zip(xs, ys, strict=True))
        if points:
            parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" '
                         'stroke-width="2" stroke-linejoin="round"/>')
    legend = "".join(f'<span><i style="background:{color}"></i>{escape(name)}</span>'
                     for name, color, _, _ in series)
    return (f'<figure><figcaption class="legend">{legend}</figcaption>'
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(parts)}</svg></figure>')


def x_of(value):
    return LEFT + value * (RIGHT - LEFT)


def y_of(value):
    return BOTTOM - value * (BOTTOM - TOP)


def axis_tick(value):
    """Grid lines and numbers at one value of both axes."""
    x, y = x_of(value), y_of(value)
    return (f'<path class="grid" d="M{LEFT} {y:.1f}H{RIGHT}M{x:.1f} {TOP}V{BOTTOM}"/>'
            f'<text x="{x:.1f}" y="{BOTTOM + 17}" text-anchor="middle">{value:g}</text>'
            f'<text x="{LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')


def marker_line(value, text):
    """A dashed vertical line with a text on the side where there is room."""
    x, anchor, shift = x_of(value), *(("start", 6) if value < 0.6 else ("end", -6))
    return (f'<path class="marker" d="M{x:.1f} {TOP}V{BOTTOM}"/><text x="{x + shift:.1f}" '
            f'y="{BOTTOM - 10}" text-anchor="{anchor}" class="strong">{escape(text)}</text>')


def bar(share, color):
    """A horizontal bar of `share` (0..1) of the width that it is given."""
    return (f'<span class="bar"><span style="width:{100 * max(0, share):.1f}%;'
            f'background:{color}"></span></span>')
