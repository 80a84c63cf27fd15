"""The one exception for bad input: scripts print it as a sentence and exit with code 2."""


class UserError(ValueError):
    """What came, what was expected, what to do about it, in one sentence."""
