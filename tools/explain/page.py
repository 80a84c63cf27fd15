"""The page: words, fragments, numbers and pictures in one HTML file that needs nothing else."""
import json
from html import escape
from pathlib import Path
from string import Template

from tools.explain import fragments

FOLDER = Path(__file__).parent
LANGUAGES = ("en", "zh")
ANCHORS = ("input", "pyramid", "grids", "features", "masks", "nms", "result", "lesson", "losses")


def page_text(content, facts, language):
    """The HTML of a page; content: of content.py; facts: what else its sentences say."""
    words = json.loads(read(f"words/{language}.json"))
    page, script, facts = words["page"], words["script"], {**content["settings"], **facts}
    taught, source = content["lesson"] is not None, page[facts["source"]]
    page["nms_equation"] = page["nms_equation"][facts["nms_kernel"]]
    page["lesson"] = page["lesson"].replace("{source}", source) if taught else source
    sentences = {key: fill(value, facts) for key, value in page.items() if isinstance(value, str)}
    return Template(read("page.html")).substitute(
        sentences, style=read("page.css"), script=read("page.js"), hint=script["hint"],
        warning=f'<p class="warning">{sentences["random"]}</p>' if facts["random"] else "",
        nav="".join(f'<a href="#{anchor}">{word}</a>'
                    for anchor, word in zip(ANCHORS, page["nav"], strict=True)),
        maps=fragments.pyramid(content), gallery=fragments.gallery(content, script),
        nms_columns=fragments.suppression(content, script),
        lesson_columns=fragments.lesson_columns(content, script) if taught else "",
        losses_columns=fragments.losses_columns(content, script) if taught else "",
        data=json.dumps({**content, "words": script}, ensure_ascii=False,
                        separators=(",", ":")).replace("<", "\\u003c"))


def read(name):
    return (FOLDER / name).read_text(encoding="utf-8")


def fill(text, facts):
    """A sentence with the facts in their places, escaped."""
    return text.format(**{key: escape(value) if isinstance(value, str) else value
                          for key, value in facts.items()})
