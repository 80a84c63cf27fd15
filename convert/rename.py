"""Names of another project -> ours, by ordered (pattern, replacement) rules; exact names and shapes or one error."""
import re


class ConversionError(ValueError):
    """The tensors of a file and those of the model do not fit; the message lists both sides."""


def rename(names, rules):
    """{foreign name: our name, or None for "drop"}: the first rule whose pattern matches the whole name decides.

    A replacement is a string with \\1.. groups, a function of the match, or None.  A name without a rule keeps None
    out of the result, so that the caller can report it as unknown.
    """
    compiled = [(re.compile(pattern), replacement) for pattern, replacement in rules]
    renamed = {}
    for name in names:
        for pattern, replacement in compiled:
            match = pattern.fullmatch(name)
            if match:
                renamed[name] = None if replacement is None else (
                    replacement(match) if callable(replacement) else match.expand(replacement))
                break
    return renamed
