"""The wire format of protobuf: fields of a message in memory, none of which is trusted."""
from convert.errors import ConversionError

VARINT, BYTES = 0, 2
FIXED = {1: 8, 5: 4}               # bytes of kinds without a length
MAX_SIDES = 100


def varint(data, position):
    """(number, position behind it) of a varint of at most 64 bits."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise ConversionError("a number in it is damaged")


def fields(data):
    """(field number, value) of a message: an int, or a memoryview for everything with a length."""
    data, position = memoryview(data), 0
    while position < len(data):
        tag, position = varint(data, position)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, position = varint(data, position)
        else:
            length = FIXED.get(kind)
            if kind == BYTES:
                length, position = varint(data, position)
            if length is None:
                raise ConversionError("a field of it has an unknown kind")
            value, position = data[position:position + length], position + length
        if position > len(data):
            raise ConversionError("a field of it ends behind its end")
        yield number, value


def message(data, names):
    """{name: [values]} of the fields of a message; `names`: {field number: name}, others go."""
    if not isinstance(data, memoryview):
        raise ConversionError("a message in it is damaged")
    found = {name: [] for name in names.values()}
    for number, value in fields(data):
        if number in names:
            found[names[number]].append(value)
    return found


def sides(values):
    """The shape in plain or packed varints; negative sides come out as senseless large ones."""
    shape = []
    for value in values[:MAX_SIDES]:
        position, packed = 0, not isinstance(value, int)
        if not packed:
            shape.append(value)
        while packed and position < len(value) and len(shape) < MAX_SIDES:
            side, position = varint(value, position)
            shape.append(side)
    return tuple(shape)


def text(value):
    """A string field.  ConversionError if it is none."""
    if not isinstance(value, memoryview) or len(value) > 1000:
        raise ConversionError("a name in it is damaged")
    return str(value, "utf-8", "replace")
