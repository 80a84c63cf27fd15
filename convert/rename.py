"""Names of another project <-> ours, by one table of template pairs read in both directions.

    Rule("backbone.layer{l}.{b}.bn{c}.{stat}", "backbone.res{l+1}.{b}.conv{c}.norm.{stat}")

`{b}` is a number, the same on both sides; `{l+1}` and `{3*i+1}` are numbers computed from one; a
field named in `words` is one of these words, {their word: our word}.
"""
import re
from dataclasses import dataclass

FIELD = re.compile(r"\{(?:(?P<factor>\d+)\*)?(?P<name>[a-z]\w*)(?:\+(?P<offset>\d+))?\}")
NUMBER = "0|[1-9][0-9]{0,4}"


@dataclass(frozen=True)
class Rule:
    """Their name, our name and, optionally, one of our names that must exist too.

    The third decides only on the way back, where one name of ours may have several of theirs.
    """

    theirs: str
    ours: str
    only_with: str = ""


class Template:
    """One side of a rule: matches names and makes them."""

    def __init__(self, text, words):
        self.words = words                               # {field: {word here: common word}}
        self.parts, position, seen = [], 0, set()        # text or (name, factor, offset)
        pattern = ""
        for field in FIELD.finditer(text):
            name = field["name"]
            literal = text[position:field.start()]
            options = "|".join(sorted(map(re.escape, words[name]), key=len, reverse=True)) \
                if name in words else NUMBER
            pattern += re.escape(literal) + (f"(?P={name})" if name in seen
                                             else f"(?P<{name}>{options})")
            self.parts += [literal, (name, int(field["factor"] or 1), int(field["offset"] or 0))]
            position = field.end()
            seen.add(name)
        self.parts.append(text[position:])
        self.pattern = re.compile(pattern + re.escape(text[position:]))

    def match(self, name):
        """{field: number or common word}, or None."""
        match = self.pattern.fullmatch(name)
        if not match:
            return None
        values = {}
        for field, factor, offset in self.fields():
            if field in self.words:
                values[field] = self.words[field][match[field]]
                continue
            number, rest = divmod(int(match[field]) - offset, factor)
            if rest or number < 0:
                return None
            values[field] = number
        return values

    def fields(self):
        return [part for part in self.parts if isinstance(part, tuple)]

    def fill(self, values):
        """The name with these values, or None where a word has no counterpart here."""
        text = ""
        for part in self.parts:
            if isinstance(part, str):
                text += part
                continue
            field, factor, offset = part
            if field not in self.words:
                text += str(values[field] * factor + offset)
                continue
            here = [word for word, common in self.words[field].items() if common == values[field]]
            if not here:
                return None
            text += here[0]
        return text


class Naming:
    """The rules of a family, compiled.  `words`: {field: {their word: our word}}."""

    def __init__(self, rules, words):
        ours = {field: {word: word for word in table.values()} for field, table in words.items()}
        self.rules = [(Template(rule.theirs, words), Template(rule.ours, ours),
                       Template(rule.only_with, ours)) for rule in rules]

    def to_ours(self, names):
        """{their name: our name} of the names that a rule knows; the first rule decides."""
        renamed = {}
        for name in names:
            for theirs, ours, _ in self.rules:
                values = theirs.match(name)
                if values is not None:
                    renamed[name] = ours.fill(values)
                    break
        return renamed

    def to_theirs(self, names):
        """{our name: their name} of the names that a rule knows."""
        names, renamed = set(names), {}
        for name in sorted(names):
            for theirs, ours, only_with in self.rules:
                values = ours.match(name)
                condition = values is not None and only_with.fill(values)
                if condition is False or (condition and condition not in names):
                    continue
                foreign = theirs.fill(values)
                if foreign is not None:
                    renamed[name] = foreign
                    break
        return renamed
