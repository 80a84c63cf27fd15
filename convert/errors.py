"""The error of conversions."""
from tools.errors import UserError


class ConversionError(UserError):
    """A file cannot be read, or its tensors and those of the model do not fit."""
