"""A machine that runs the opcodes of pickles (protocols 2 to 5) and cannot execute anything.

A pickle is a program: `pickle.Unpickler` imports and calls what it names.  Here a name is looked up
in a table of our own constructors, and everything that is made is paid for from a budget in
proportion to the file.  A value of the file is hashed, compared and shown only after a look at its
exact type: a tuple may hold itself twice per level, and whoever walks it never comes back.
"""
import struct
import sys
from itertools import islice

from tools.errors import UserError, shown

MAX_OPCODES = 1_000_000    # a checkpoint with optimizer state has some ten thousand
TIMES = 4                  # bytes per byte of the file: Python 2 files hold text, bytes and arrays
ROOM = 16 << 20            # and bytes for containers, however small the file
OBJECT = 64                # bytes of a small object
SLOT = 9                   # bytes of an item in a list, with what lists keep in reserve
ENTRY = 100                # bytes of an entry of a dict or of the memo
EMPTY_TEXT = sys.getsizeof("")
MARK = object()
DAMAGE = (IndexError, KeyError, ValueError, TypeError, AttributeError, OverflowError)


class UnsafePickle(UserError):
    """The file holds something other than containers, numbers, text and arrays, or is damaged."""


class Global:
    """A class or function that a pickle names: only its name, and our constructor if it has one."""

    def __init__(self, module, name, construct):
        self.module, self.name, self.construct = module, name, construct


class Unfinished:
    """Something that BUILD completes: `build(state, machine)` returns what takes its place."""

    value = None               # what recalls from the memo give, once it is complete

    def build(self, state, machine):
        raise NotImplementedError


class Budget:
    """Bytes that may be made while one file of `size` bytes is read."""

    def __init__(self, size):
        self.content, self.objects = TIMES * size + 4096, TIMES * size + ROOM

    def spend(self, size):
        """Pay for text, bytes or the numbers of an array."""
        self.content -= size
        self.check()

    def hold(self, size):
        """Pay for objects and places in containers."""
        self.objects -= size
        self.check()

    def check(self):
        if self.content < 0 or self.objects < 0:
            raise UnsafePickle(f"would take more memory than {TIMES} times its size")


def check_key(key):
    """`key`, if its hash is harmless."""
    if type(key) is str or key is None or (isinstance(key, int) and -2**63 <= key < 2**63):
        return key
    raise UnsafePickle(f"refused a dict key of type {type(key).__name__}")


class Machine:
    """Machine(data, constructors).load() -> what is pickled in the buffer `data`.

    `constructors`: {(module, name): function(machine, *arguments), or None where the name may stand
    but not be called}.  `persistent`: function of a persistent id.  It starts at `position` and
    leaves it behind the pickle.  `budget`: shared by the pickles of one file.  The result may still
    hold a `Global` or an `Unfinished` (safe_pickle.check_result); its bytes are views of `data`.
    """

    def __init__(self, data, constructors, persistent=None, position=0, budget=None):
        self.data, self.position = memoryview(data), position
        self.constructors, self.persistent = constructors, persistent
        budget = budget or Budget(len(self.data))
        self.spend, self.hold = budget.spend, budget.hold
        self.stack, self.memo = [], {}

    def load(self):
        """Run to the end of the pickle.  Raises UnsafePickle."""
        try:
            for _ in range(MAX_OPCODES):
                opcode = self.take(1)[0]
                if opcode == 0x2E:                       # STOP
                    result, = self.stack
                    return result
                action = OPCODES.get(opcode)
                if action is None:
                    raise UnsafePickle(f"refused opcode 0x{opcode:02x} at byte {self.position - 1}")
                action(self)
        except UserError:
            raise
        except DAMAGE as error:
            raise UnsafePickle(f"damaged at byte {self.position} ({type(error).__name__}: "
                               f"{shown(str(error))})") from None
        raise UnsafePickle(f"has more than {MAX_OPCODES} opcodes")

    def take(self, size):
        """The next `size` bytes."""
        start, self.position = self.position, self.position + size
        if self.position > len(self.data):
            self.position = start
            raise UnsafePickle(f"ends in the middle: {size} bytes expected at byte {start} of "
                               f"{len(self.data)}")
        return self.data[start:self.position]

    def number(self, layout):
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def line(self):
        """Text up to the next line break, as GLOBAL writes its two names."""
        window = bytes(self.data[self.position:self.position + 256])
        length = window.index(b"\n")
        return bytes(self.take(length + 1)[:-1]).decode("ascii")

    def text(self, layout):
        return str(self.take(self.number(layout)), "utf-8")

    def push(self, value):
        self.stack.append(value)

    def make(self, value):
        """Push something new."""
        self.hold(OBJECT)
        if type(value) is str:
            self.spend(sys.getsizeof(value) - EMPTY_TEXT)
        elif type(value) is tuple:
            self.hold(SLOT * len(value))
        self.stack.append(value)

    def pop(self):
        value = self.stack.pop()
        if value is MARK:
            raise UnsafePickle(f"damaged at byte {self.position}: a mark where a value belongs")
        return value

    def pop_to_mark(self):
        """The values above the topmost mark."""
        height = len(self.stack) - 1
        while self.stack[height] is not MARK:            # runs into IndexError without a mark
            height -= 1
            if height < 0:
                raise UnsafePickle("damaged: no mark")
        values = self.stack[height + 1:]
        del self.stack[height:]
        return values

    def pop_tuple(self, size):
        values = tuple(self.pop() for _ in range(size))
        self.make(values[::-1])

    def remember(self, index):
        if index > MAX_OPCODES:
            raise UnsafePickle(f"refused memo index {index}")
        self.hold(ENTRY)
        self.memo[index] = self.stack[-1]

    def recall(self, index):
        value = self.memo[index]
        if isinstance(value, Unfinished) and value.value is not None:
            value = value.value
        self.push(value)

    def find(self, module, name):
        if (module, name) not in self.constructors:
            raise UnsafePickle(f"refused '{shown(module, 60)}.{shown(name, 60)}': only containers, "
                               "numbers, text and arrays are read, nothing is executed")
        self.make(Global(module, name, self.constructors[module, name]))

    def reduce(self):
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, Global) or function.construct is None \
                or type(arguments) is not tuple:
            raise UnsafePickle(f"refused a call at byte {self.position}")
        self.hold(ENTRY)
        self.push(function.construct(self, *arguments))

    def build(self):
        state, target = self.pop(), self.pop()
        if isinstance(target, Unfinished):
            self.push(target.build(state, self))
        elif type(target) is dict:                       # attributes of an OrderedDict: not kept
            self.push(target)
        else:
            raise UnsafePickle(f"refused to change a {type(target).__name__}")

    def forget(self, value):
        """Let go of a large intermediate value that the memo, or a tuple in it, keeps alive."""
        for index in list(islice(reversed(self.memo), 4)):
            kept = self.memo[index]
            if kept is value or (type(kept) is tuple and kept and kept[0] is value):
                self.memo[index] = None

    def extend(self, values):
        if type(self.stack[-1]) is not list:
            raise UnsafePickle(f"damaged at byte {self.position}: not a list")
        self.hold(SLOT * len(values))
        self.stack[-1].extend(values)

    def update(self, values):
        if type(self.stack[-1]) is not dict or len(values) % 2:
            raise UnsafePickle(f"damaged at byte {self.position}: not a dict")
        self.hold(ENTRY * (len(values) // 2))
        for key, value in zip(values[::2], values[1::2], strict=True):
            self.stack[-1][check_key(key)] = value

    def pair(self):
        value, key = self.pop(), self.pop()
        self.update([key, value])

    def global_by_stack(self):
        name, module = self.pop(), self.pop()
        if type(module) is not str or type(name) is not str:
            raise UnsafePickle("damaged: a global without a name")
        self.find(module, name)

    def long(self):
        self.make(int.from_bytes(self.take(self.number("<B")), "little", signed=True))

    def persistent_id(self):
        if self.persistent is None:
            raise UnsafePickle("refused a persistent id")
        self.push(self.persistent(self.pop()))


OPCODES = {
    b"\x80": lambda m: m.take(1),                                    # PROTO
    b"\x95": lambda m: m.take(8),                                    # FRAME: only a hint
    b"(": lambda m: m.push(MARK),
    b"0": lambda m: m.stack.pop(),
    b"1": lambda m: m.pop_to_mark(),
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"J": lambda m: m.make(m.number("<i")),
    b"K": lambda m: m.make(m.number("<B")),
    b"M": lambda m: m.make(m.number("<H")),
    b"\x8a": Machine.long,
    b"G": lambda m: m.make(m.number(">d")),
    b"X": lambda m: m.make(m.text("<I")),
    b"\x8c": lambda m: m.make(m.text("<B")),
    b"\x8d": lambda m: m.make(m.text("<Q")),
    b"T": lambda m: m.make(str(m.take(m.number("<I")), "latin1")),
    b"U": lambda m: m.make(str(m.take(m.number("<B")), "latin1")),
    b"B": lambda m: m.make(m.take(m.number("<I"))),
    b"C": lambda m: m.make(m.take(m.number("<B"))),
    b"\x8e": lambda m: m.make(m.take(m.number("<Q"))),
    b"\x96": lambda m: m.make(m.take(m.number("<Q"))),
    b"]": lambda m: m.make([]),
    b"a": lambda m: m.extend([m.pop()]),
    b"e": lambda m: m.extend(m.pop_to_mark()),
    b"}": lambda m: m.make({}),
    b"s": Machine.pair,
    b"u": lambda m: m.update(m.pop_to_mark()),
    b")": lambda m: m.push(()),
    b"t": lambda m: m.make(tuple(m.pop_to_mark())),
    b"\x85": lambda m: m.pop_tuple(1),
    b"\x86": lambda m: m.pop_tuple(2),
    b"\x87": lambda m: m.pop_tuple(3),
    b"c": lambda m: m.find(m.line(), m.line()),
    b"\x93": Machine.global_by_stack,
    b"R": Machine.reduce,
    b"\x81": Machine.reduce,                                         # NEWOBJ
    b"b": Machine.build,
    b"q": lambda m: m.remember(m.number("<B")),
    b"r": lambda m: m.remember(m.number("<I")),
    b"\x94": lambda m: m.remember(len(m.memo)),
    b"h": lambda m: m.recall(m.number("<B")),
    b"j": lambda m: m.recall(m.number("<I")),
    b"Q": Machine.persistent_id,
}
OPCODES = {code[0]: action for code, action in OPCODES.items()}
