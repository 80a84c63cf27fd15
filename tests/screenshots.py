"""Cut the pictures of both tours (docs/tour.md, docs/cn/tour.md) out of pages of tools.explain.

python -m tests.screenshots [--photo PHOTO] [--config N] [--weights FILE].  For the Chinese ones the
system needs a font: apt-get install fonts-noto-cjk.
"""
from tools.runtime import configure

configure()

import argparse
import base64
import tempfile
from pathlib import Path

from tests.browser import browser_page
from tests.builders import ROOT
from tools.explain.__main__ import main as explain

FOLDERS = {"en": ROOT / "docs/tour", "zh": ROOT / "docs/cn/tour"}
# File name: section of the page.
PICTURES = {"pyramid": "pyramid", "grids": "grids", "features": "features", "masks": "masks",
            "nms": "nms", "targets": "lesson", "losses": "losses"}
WIDTH, QUALITIES, MOST = 1180, range(80, 20, -10), 190_000         # pixels, JPEG's, bytes


def capture(page, section, path):
    """Write one section of the page as a JPEG file."""
    x, y, width, height = page.ask(
        f"(r => [r.x + scrollX, r.y + scrollY, r.width, r.height])"
        f"(document.getElementById('{section}').getBoundingClientRect())")
    clip = {"x": x, "y": y, "width": width, "height": height, "scale": 1}
    for quality in QUALITIES:
        answer = page.call("Page.captureScreenshot", format="jpeg", quality=quality, clip=clip,
                           captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(answer["data"]))
        if path.stat().st_size < MOST:
            break
    print(path, f"{path.stat().st_size / 1000:.0f} kB")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photo", default=str(ROOT / "images/test/000004.jpg"))
    parser.add_argument("--config", default="quickstart")
    parser.add_argument("--weights", default=str(ROOT / "weights/quickstart.pdparams"))
    parser.add_argument("--cell", default="", help="level-row-column")
    args = parser.parse_args()
    for language, target in FOLDERS.items():
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder, browser_page() as page:
            path = Path(folder, "page.html")
            explain([args.photo, "--config", args.config, "--weights", args.weights, "--language",
                     language, "--output", str(path)])
            page.open(path, f"#cell={args.cell}" if args.cell else "", WIDTH)
            for name, section in PICTURES.items():
                capture(page, section, target / f"{name}.jpg")


if __name__ == "__main__":
    main()
