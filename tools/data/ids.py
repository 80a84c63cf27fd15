"""Ids of images, categories and annotations, of any kind that a json has: how they are compared."""
import numpy as np


def id_key(value):
    """What an id is compared by: an int for whole numbers, a text for texts; None for no id."""
    if type(value) is int or type(value) is str:
        return value
    return int(value) if type(value) is float and value.is_integer() else None


def other_kind(key):
    """7 for "7" and "7" for 7; None for texts that are not how a number is written."""
    if type(key) is int:
        return str(key)
    return int(key) if key.isascii() and key.isdigit() and str(int(key)) == key else None


def is_int64(value):
    return type(value) is int and -1 << 63 <= value < 1 << 63


class Keys:
    """Numbers 0, 1, ... for ids of any kind, in the order in which they are met."""

    def __init__(self):
        self.numbers = {}

    def number(self, key):
        return self.numbers.setdefault(key, len(self.numbers))

    def of_column(self, ids, odd):
        """int64 [A], the numbers of a column of A int64 ids; odd: {row: another key}."""
        values, places = np.unique(ids, return_inverse=True)
        if len(odd):
            kept = np.ones(len(ids), bool)
            kept[list(odd)] = False
            values, inverse = np.unique(ids[kept], return_inverse=True)
            places = np.zeros(len(ids), np.int64)
            places[kept] = inverse
        found = np.array([self.number(value) for value in values.tolist()] or [0])[places]
        for row, key in odd.items():
            found[row] = self.number(key)
        return found
