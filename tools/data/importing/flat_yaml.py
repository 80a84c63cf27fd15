"""The part of YAML that data.yaml files use: keys with a text, a list or a table of texts."""
import re

PIECE = re.compile(r"""\s*(?:'((?:[^']|'')*)'|"((?:[^"\\]|\\.)*)"|([^,:\[\]{}'"][^,\[\]{}]*?))\s*"""
                   r"""(?=[,:\]}]|$)""")
KEY = re.compile(r"""^(\s*)("[^"]*"|'[^']*'|[^\s:#'"\[{-][^:]*?)\s*:(?:\s+(.*)|\s*)$""")


def read_yaml(text):
    """{key: text, list of texts or {text: text}} of the keys at the left margin."""
    content, key = {}, None
    for line in joined_lines(text):
        item = re.match(r"^\s*-\s+(.*)$", line)
        pair = KEY.match(line)
        if item and key is not None:
            if not isinstance(content[key], list):
                content[key] = []
            content[key].append(scalar(item[1]))
        elif pair and not pair[1]:
            key = scalar(pair[2])
            content[key] = value_of(pair[3] or "")
        elif pair and key is not None:
            if not isinstance(content[key], dict):
                content[key] = {}
            content[key][scalar(pair[2])] = scalar(pair[3] or "")
    return content


def joined_lines(text):
    """The lines without comments; lists in brackets over several lines become one line."""
    pending = ""
    for line in text.splitlines():
        line = without_comment(line).rstrip()
        if not line.strip():
            continue
        pending = f"{pending} {line.strip()}" if pending else line
        plain = re.sub(r"'[^']*'|\"[^\"]*\"", "", pending)
        if sum(map(plain.count, "[{")) > sum(map(plain.count, "]}")):
            continue
        yield pending
        pending = ""
    if pending:
        yield pending


def without_comment(line):
    """Cut at a # that stands at the start or after a space, outside quotes."""
    quote = ""
    for position, letter in enumerate(line):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter == "#" and (position == 0 or line[position - 1].isspace()):
            return line[:position]
    return line


def value_of(text):
    """A text, or the list or table between brackets."""
    text = text.strip()
    if not text or text[0] not in "[{":
        return scalar(text)
    pieces, position, body = [], 0, text[1:].rstrip("]} ")
    separators = []
    while position < len(body) and (match := PIECE.match(body, position)):
        pieces.append(unquoted(match))
        position = match.end()
        separators.append(body[position:position + 1])
        position += 1
    if text[0] == "[":
        return pieces
    return dict(zip(pieces[::2], pieces[1::2], strict=False))


def unquoted(match):
    single, double, plain = match.groups()
    if single is not None:
        return single.replace("''", "'")
    return re.sub(r"\\(.)", r"\1", double) if double is not None else plain.strip()


def scalar(text):
    """A text without its quotes."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1].replace("''", "'") if text[0] == "'" else re.sub(r"\\(.)", r"\1",
                                                                            text[1:-1])
    return text
