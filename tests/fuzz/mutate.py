"""Damage of any bytes, and of any json-like value."""
import copy

EXTREMES = (b"\xff", b"\x7f", b"\0", b"\x80")
STRANGE = (None, True, -5, 0, 2**63, 1e308, float("nan"), float("inf"), "", "\x1b[2J", "a" * 2000,
           [], {}, [[]], [None] * 3, {"a": 1}, -0.0, "3", 0.5, [[[1, 2]]], "é\ud800")


def damage(content, rng):
    """A copy with one kind of damage: bits, a cut, a piece gone, twice or extreme."""
    data, kind = bytearray(content), rng.integers(6)
    if not data:
        return b""
    place, length = int(rng.integers(len(data))), int(rng.integers(1, 64))
    if kind == 0:
        for index in rng.integers(len(data), size=rng.integers(1, 9)):
            data[index] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        del data[place:]
    elif kind == 2:
        del data[place:place + length]
    elif kind == 3:
        data[place:place] = data[place:place + length]
    elif kind == 4:
        width = int(rng.choice([1, 2, 4, 8]))
        data[place:place + width] = EXTREMES[rng.integers(4)] * width
    else:
        data[place:place + length] = rng.bytes(length)
    return bytes(data)


def places(value, path=()):
    """Paths of all parts of a json-like value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) \
        if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def replaced(value, rng, times=1):
    """A copy of a json-like value with parts replaced by strange ones, or removed."""
    value = copy.deepcopy(value)
    for _ in range(times):
        paths = [path for path in places(value) if path]
        if not paths:
            return value
        *parents, last = paths[rng.integers(len(paths))]
        parent = value
        for key in parents:
            parent = parent[key]
        if rng.random() < 0.2:
            del parent[last]
        else:
            parent[last] = copy.deepcopy(STRANGE[rng.integers(len(STRANGE))])
    return value
