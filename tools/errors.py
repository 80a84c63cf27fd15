"""The one exception for bad input, and how to show what came from somebody else's file.

Scripts print a UserError as a sentence and exit with code 2.
"""
import errno

SHOWN = 80                         # characters of a foreign value
SHOWN_ITEMS = 8                    # of a flat list or tuple
SMALL = 2**64                      # numbers beyond are not written out
# What the system says of a disk that is full, fails, or may not be written.
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES,
               errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG}


class UserError(ValueError):
    """What came, what was expected, what to do about it, in one sentence."""


def is_of_disk(error):
    """Whether an exception is the system's word on a disk, no mistake of a program."""
    return isinstance(error, OSError) and error.errno in DISK_ERRORS


def shown(value, limit=SHOWN):
    """A foreign value as a short text without control characters, for a message or a terminal.

    Text is cut to `limit` characters and escaped ("\\x1b[2J"); numbers, None and short flat lists
    of those are written out; everything else is only named by its type.  Never walks into what it
    is given, so that neither a list which holds itself nor a long text takes time or memory.
    """
    kind = type(value)
    if kind is str:
        return printable(value[:limit]) + ("..." if len(value) > limit else "")
    if kind in (bytes, bytearray, memoryview):
        return repr(bytes(value[:limit // 4])) + ("..." if len(value) > limit // 4 else "")
    if kind in (list, tuple) and len(value) <= SHOWN_ITEMS and all(map(is_short, value)):
        return repr(value)
    return repr(value) if is_short(value) else f"<{printable(kind.__name__[:limit])}>"


def is_short(value):
    """Whether repr() of the value is short by its type alone."""
    return value is None or type(value) in (bool, float) \
        or (type(value) is int and -SMALL < value < SMALL)


def printable(text, keep=""):
    """`text` with everything but visible characters, spaces and those in `keep` escaped."""
    return "".join(letter if letter.isprintable() or letter in keep
                   else letter.encode("unicode_escape").decode("ascii") for letter in text)
