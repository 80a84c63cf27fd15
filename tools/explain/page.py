"""The page: words, fragments, numbers and pictures in one HTML file that needs nothing else."""
import json
from html import escape
from pathlib import Path
from string import Template

from tools.explain import chinese, english, fragments

FOLDER = Path(__file__).parent
LANGUAGES = {"en": english, "zh": chinese}
ANCHORS = ("input", "pyramid", "grids", "features", "masks", "nms", "result", "lesson", "losses")


def page_text(content, facts, language):
    """The HTML of a page; content: of content.py; facts: what else its sentences say."""
    page, script = LANGUAGES[language].PAGE, LANGUAGES[language].SCRIPT
    facts = {**content["settings"], **facts}
    words = {key: fill(value, facts) for key, value in page.items() if isinstance(value, str)}
    taught = content["lesson"] is not None
    source = words[facts["source"]]
    words["lesson"] = page["lesson"].format(source=source, **content["settings"]) if taught else source
    return Template(read("page.html")).substitute(
        words, style=read("page.css"), script=read("page.js"), hint=script["hint"],
        warning=f'<p class="warning">{words["random"]}</p>' if facts["random"] else "",
        nav="".join(f'<a href="#{anchor}">{word}</a>'
                    for anchor, word in zip(ANCHORS, page["nav"], strict=True)),
        maps=fragments.pyramid(content), gallery=fragments.gallery(content, script),
        nms_equation=fill(page["nms_equation"][facts["nms_kernel"]], facts),
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
