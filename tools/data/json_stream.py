"""The entries of long lists in a json file, one at a time, however large the file is.

The text passes through a window of a few megabytes.  Plain and gzip'ed files, in any of the Unicode
encodings that json may have, with or without a byte order mark.
"""
import codecs
import gzip
import json
import re
import zlib

from tools.errors import UserError, shown
from tools.files import irregular

CHUNK = 1 << 22                    # bytes that are read at once
NEAR_THE_END = 100                 # characters before the window's end that a cut token may reach
GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"
SCAN = json.JSONDecoder().scan_once
SPACE = re.compile(r"[ \t\n\r]*")
OTHER_FORMATS = ("; other formats (labelme, YOLO, CVAT, ...) become COCO with "
                 "python -m tools.data.importing SOURCE --output FOLDER")
UNREADABLE = (ValueError, RecursionError, EOFError, gzip.BadGzipFile, zlib.error)


def stream_lists(path, names, found):
    """Yield (name, entry) for every entry of the lists called `names` in the object of a json file.

    found: dict that receives {name: type of its value} for those that are there.  UserError with
    the file's name where it cannot be read, or is not json, or holds no object.
    """
    kind = irregular(path)
    if kind:
        raise UserError(f"annotation file '{path}' is {kind}, expected a json file"
                        + OTHER_FORMATS)
    try:
        with open(path, "rb") as file:
            text = Window(file)
            if text.token() != "{":
                raise UserError(f"annotation file '{path}' is not COCO: expected an object with "
                                "images, annotations and categories, got "
                                f"a {type(text.first_value()).__name__}" + OTHER_FORMATS)
            yield from members(text, names, found)
    except FileNotFoundError:
        raise UserError(f"annotation file '{path}' does not exist") from None
    except UserError:
        raise
    except UNREADABLE as error:                        # not json, or not even text
        raise UserError(f"annotation file '{path}' is not json: {shown(str(error))}"
                        + OTHER_FORMATS) from None
    except OSError as error:
        raise UserError(f"annotation file '{path}' cannot be read: {error.strerror}") from None


def members(text, names, found):
    """The entries of the wanted lists of the object that begins at the window."""
    more = text.open("{", "}")
    while more:
        name = text.value()
        if type(name) is not str:
            raise text.error("expected a name in quotes")
        text.expect(":")
        if name in names and name in found:
            raise text.error(f"the key '{name}' comes twice")
        if name in names and text.token() == "[":
            found[name] = list
            for entry in text.entries():
                yield name, entry
        else:
            found[name] = type(text.value())
        more = text.next_item("}")
    if text.token():
        raise text.error("text behind the end")


class Window:
    """A part of the text of a json file that moves on as it is read."""

    def __init__(self, file):
        head = file.read(4)
        if head.startswith(ZIP):
            raise ValueError("a zip archive; unpack it first")
        file.seek(0)
        self.file = gzip.GzipFile(fileobj=file) if head.startswith(GZIP) else file
        self.text, self.at, self.before, self.ended = "", 0, 0, False
        first = self.file.read(CHUNK)
        self.decoder = codecs.getincrementaldecoder(encoding_of(first))("surrogatepass")
        self.append(first)

    def append(self, data):
        self.ended = not data
        self.before += self.at
        self.text = self.text[self.at:] + self.decoder.decode(data, final=self.ended)
        self.at = 0

    def more(self):
        """Move the window on to `at` and read more; False at the end of the file."""
        if not self.ended:
            self.append(self.file.read(max(CHUNK, len(self.text) - self.at)))
        return not self.ended

    def token(self):
        """The next character that is no space, "" at the end; the window stays before it."""
        while True:
            self.at = SPACE.match(self.text, self.at).end()
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.more():
                return ""

    def expect(self, character):
        if self.token() != character:
            raise self.error(f"expected '{character}'")
        self.at += 1

    def open(self, start, end):
        """Step into a list or object; whether it has an entry."""
        self.expect(start)
        if self.token() == end:
            self.at += 1
            return False
        return True

    def next_item(self, end):
        """Step over the comma behind an entry, or over `end`: then False."""
        token = self.token()
        if token not in (",", end) or not token:
            raise self.error(f"expected ',' or '{end}'")
        self.at += 1
        return token == ","

    def entries(self):
        """The entries of the list that begins here, quickly where they are objects."""
        inside = self.open("[", "]")
        while inside:
            try:
                value, end = SCAN(self.text, self.at)
            except (StopIteration, json.JSONDecodeError):      # a space, or the window's end
                value = self.value()
            else:
                if type(value) is dict:
                    self.at = end
                else:
                    value = self.value()
            yield value
            if self.text.startswith(", {", self.at):
                self.at += 2
            else:
                inside = self.next_item("]")

    def value(self):
        """The value that begins here, after any space."""
        self.token()
        while True:
            try:
                value, end = SCAN(self.text, self.at)
            except StopIteration as error:
                place, message = error.value, "a value is missing"
            except json.JSONDecodeError as error:
                place, message = error.pos, error.msg
                if message.startswith("Unterminated"):
                    place = len(self.text)             # wherever it began
            else:
                if end < len(self.text) - NEAR_THE_END or type(value) not in (int, float):
                    self.at = end
                    return value
                place, message = end, ""               # the number may go on in the next chunk
            problem = self.error(message, place)
            if place >= len(self.text) - NEAR_THE_END and self.more():
                continue
            if message:
                raise problem
            value, self.at = SCAN(self.text, self.at)
            return value

    def first_value(self):
        """A value at the beginning of the file; of a list the first entry is enough."""
        if self.token() != "[":
            return self.value()
        return [self.value()] if self.open("[", "]") else []

    def error(self, message, place=None):
        place = self.at if place is None else place
        return ValueError(f"{message} at character {self.before + place}")


def encoding_of(data):
    """The Unicode encoding of the first bytes of a json file."""
    encoding = json.detect_encoding(data)
    return "utf-8-sig" if encoding == "utf-8" else encoding
