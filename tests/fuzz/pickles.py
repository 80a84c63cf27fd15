"""Pickles by grammar: programs that a reader runs far into, wrong in one place or many."""
import struct

from convert.writers import named, text
from tests.fuzz.mutate import damage

GLOBALS = ("numpy/ndarray", "numpy/dtype", "_codecs/encode", "builtins/bytes", "builtins/tuple",
           "builtins/set", "builtins/dict", "builtins/list", "collections/OrderedDict",
           "collections/defaultdict", "numpy.core.multiarray/_reconstruct",
           "numpy._core.multiarray/scalar", "numpy.core.numeric/_frombuffer", "torch/FloatStorage",
           "torch/Size", "torch._utils/_rebuild_tensor_v2", "torch._utils/_rebuild_parameter",
           "argparse/Namespace", "os/system", "builtins/eval", "builtins/getattr", "posix/mkdir")
WORDS = ("f4", "<", ">", "latin1", "C", "F", "storage", "0", "cpu", "state_dict", "model", "meta@@",
         "weight", "bbox_head.solo_cate.weight", "\x1b[2J", "é", "", "a" * 300)
NUMBERS = (0, 1, 3, 255, 2**31 - 1, -1, 2**40, 2**63)


def integer(n):
    raw = n.to_bytes(10, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def memo(rng):
    return struct.pack("<I", int(rng.integers(20)))


def value(rng, depth):
    """Opcodes that leave one value on the stack."""
    kind = rng.integers(14 if depth else 6)
    if kind == 0:
        return integer(int(rng.choice(NUMBERS[:6])))
    if kind == 1:
        return text(str(rng.choice(WORDS)))
    if kind == 2:
        raw = rng.bytes(int(rng.choice([0, 4, 12, 300, 5000])))
        return b"B" + struct.pack("<I", len(raw)) + raw
    if kind == 3:
        return bytes(rng.choice(list(b"N\x88\x89)]}")).tobytes()[:1])
    if kind == 4:
        return b"j" + memo(rng)
    if kind == 5:
        return b"G" + struct.pack(">d", float(rng.choice([0.0, 1e308, float("nan")])))
    return container(rng, depth - 1, kind)


def container(rng, depth, kind):
    parts = [value(rng, depth) for _ in range(rng.integers(4))]
    if kind == 6:
        return b"](" + b"".join(parts) + b"e"
    if kind == 7:
        return b"(" + b"".join(parts) + b"t"
    if kind == 8:
        return b"}(" + b"".join(text(str(rng.choice(WORDS))) + part for part in parts) + b"u"
    if kind == 9:
        one = value(rng, depth) + b"r" + (index := memo(rng))
        return one + b"0" + b"j" + index + b"j" + index + b"\x86"
    if kind == 10:                                       # a call
        return call(rng) + b"(" + b"".join(parts) + b"tR"
    if kind == 11:                                       # a state
        return value(rng, depth) + value(rng, depth) + b"b"
    if kind == 12:
        return value(rng, depth) + b"Q"
    return array(rng, depth)


def call(rng):
    return named(*str(rng.choice(GLOBALS)).split("/"))


def array(rng, depth):
    """An array as numpy pickles it, with any part replaced now and then."""
    def part(good):
        return value(rng, depth) if rng.random() < 0.15 else good

    size = int(rng.integers(5))
    dtype = (named("numpy", "dtype") + part(text("f4")) + b"K\0K\1\x87R(K\3" + part(text("<"))
             + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb")
    raw = b"B" + struct.pack("<I", 4 * size) + bytes(4 * size)
    return (named("numpy.core.multiarray", "_reconstruct") + named("numpy", "ndarray")
            + b"K\0\x85C\1b\x87R(K\1" + part(integer(size) + b"\x85") + part(dtype) + part(b"\x89")
            + part(raw) + b"tb")


def make(rng, folder):
    """The path of a pickle."""
    body = b"".join(value(rng, 5) + b"r" + memo(rng) + b"0" for _ in range(rng.integers(6)))
    content = b"\x80\x02" + body + value(rng, 6) + b"."
    if rng.random() < 0.3:
        content = damage(content, rng)
    path = folder / "pickle.pdparams"
    path.write_bytes(content + bytes(max(0, 64 - len(content))))
    return path
