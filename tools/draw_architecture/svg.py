"""Boxes, arrows and texts as SVG, in the colors of the pages of tools.explain."""
from html import escape

INK, SOFT, LINE, PAPER = "#1b2733", "#5d6b79", "#c9d2da", "#ffffff"
LEVEL_COLORS = ("#0f8577", "#2a6fb8", "#6b4fb8", "#b0458c", "#c4571d")        # P2 to P6
FONT = "system-ui, 'Segoe UI', Roboto, Arial, 'Liberation Sans', sans-serif"
LEADING = 17                       # from one line of text to the next


def text(x, y, words, size=13, color=INK, anchor="start", bold=False):
    weight = ' font-weight="600"' if bold else ""
    return (f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{color}" '
            f'text-anchor="{anchor}"{weight}>{escape(words)}</text>')


def box(x, y, width, height, lines, fill=PAPER, ink=INK, stroke=LINE):
    """A rectangle with centred lines, the first one bold."""
    first = y + height / 2 - LEADING * (len(lines) - 1) / 2 + 4.5
    texts = "".join(text(x + width / 2, first + LEADING * number, line, 13 if number == 0 else 12,
                         ink, "middle", bold=number == 0)
                    for number, line in enumerate(lines))
    return (f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="8" '
            f'fill="{fill}" stroke="{stroke}"/>{texts}')


def arrow(*points, color=SOFT):
    """A line through points (x, y), with a head at the last."""
    places = " ".join(f"{x:g},{y:g}" for x, y in points)
    return (f'<polyline points="{places}" fill="none" stroke="{color}" stroke-width="1.5" '
            'marker-end="url(#head)"/>')


def drawing(width, height, parts):
    """The text of an SVG file."""
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" font-family="{FONT}">\n'
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
            f'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="{SOFT}"/></marker>'
            f'</defs>\n<rect width="{width}" height="{height}" fill="#f4f6f8"/>\n'
            + "\n".join(parts) + "\n</svg>\n")
