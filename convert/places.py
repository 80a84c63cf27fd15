"""Parameters by their place in the network, for programs whose names say nothing (conv2d_7.w_0).

The place of a convolution is its kind, the shape of its weight, whether a bias or a norm follows,
and the places of the convolutions right before it.  A bias and the numbers of a norm belong to the
convolution that they follow.  So two programs of one network have equal places whatever they call
their parameters, in whichever order they were built, and in every format.
"""
import hashlib
from dataclasses import dataclass, field
from functools import cache

from config import get_config
from convert.errors import ConversionError
from convert.fit import expected_shapes
from tools.errors import shown
from tools.runtime import configure
from tools.weights.schema import CATEGORY

CONVOLUTIONS = {"conv2d": "conv", "depthwise_conv2d": "conv", "deformable_conv": "deformable"}
NORM_SLOTS = {"Scale": "weight", "Bias": "bias", "Mean": "_mean", "Variance": "_variance"}
IMAGES = ("data", "feed")
SIZES = ("shape", "shape64", "size", "numel")            # of their input only its size goes on
MIN_PARAMETERS = 100               # that of an R18 has 156
MAX_WORK = 20_000_000              # members of the sets that are put together
NOTHING = frozenset()


@dataclass
class Convolution:
    """One use of a convolution: `weight` is its name, `before` are the uses its input comes from
    (their numbers), `after` the parameters that follow it, {(slot, name)}."""

    kind: str
    weight: str
    shape: tuple
    before: frozenset
    after: set = field(default_factory=set)


def digest(*parts):
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def parameter_places(convolutions):
    """{place: parameter} of a list of Convolutions in the order of the network."""
    places, uses = [], {}
    for convolution in convolutions:
        place = digest(convolution.kind, tuple(convolution.shape),
                       sorted(slot for slot, _ in convolution.after),
                       sorted({places[number] for number in convolution.before}))
        places.append(place)
        for slot, name in {*convolution.after, ("weight", convolution.weight)}:
            uses.setdefault(name, set()).add((slot, place))
    return {digest(sorted(places)): name for name, places in uses.items()}


class ProgramWalk:
    """ProgramWalk(program).convolutions: those of a Program."""

    def __init__(self, program):
        self.shapes, self.work, self.convolutions = program.parameters, 0, []
        self.held = {name: name for name in program.parameters}      # variable: its parameter
        self.before, self.fixed = {}, set()              # {variable: uses}, those without images
        for operator in program.operators:
            self.follow(operator)

    def follow(self, operator):
        """Note which parameters an operator uses, and what stands before its outputs."""
        if operator.kind == "parameter":
            self.held[operator.outputs[0]] = operator.inputs["name"][0]
            return
        inputs = [(slot, name) for slot, names in operator.inputs.items() for name in names]
        used = [(slot, self.held[name]) for slot, name in inputs if name in self.held]
        moving = [name for _, name in inputs if name not in self.held and name not in self.fixed]
        outputs = [name for name in operator.outputs if name not in self.held]
        if moving or operator.kind in IMAGES:
            before = NOTHING if operator.kind in SIZES else self.union(moving)
            self.before.update(dict.fromkeys(outputs, self.use(operator.kind, used, before)))
        elif len(used) == 1:                             # a bias that is reshaped before its use
            self.held.update(dict.fromkeys(outputs, used[0][1]))
        else:
            self.fixed.update(outputs)

    def union(self, names):
        before = [self.before.get(name, NOTHING) for name in names]
        self.work += sum(map(len, before))
        if self.work > MAX_WORK:
            raise ConversionError("its program is too entangled")
        return before[0] if len(before) == 1 else NOTHING.union(*before)

    def use(self, kind, used, before):
        """Note an operator's parameters; the uses behind it."""
        for slot, name in used:
            if kind in CONVOLUTIONS:
                self.convolutions.append(Convolution(CONVOLUTIONS[kind], name, self.shapes[name],
                                                     before))
                before = frozenset([len(self.convolutions) - 1])
            else:
                slot = f"norm.{NORM_SLOTS[slot]}" if "norm" in kind and slot in NORM_SLOTS else \
                    "bias"
                for number in before:
                    self.convolutions[number].after.add((slot, name))
        return before


class PlaceGraph:
    """What tools/engines/network.py writes a network into; a value is the uses before it."""

    def __init__(self, names):
        self.names, self.convolutions = set(names), []

    def __call__(self, op, *inputs, name="", outputs=1, **_):
        before = NOTHING if op == "Shape" else NOTHING.union(
            *(value for value in inputs if isinstance(value, frozenset)))
        if op in ("Conv", "DeformConv"):
            self.convolutions.append(Convolution(
                "conv" if op == "Conv" else "deformable", f"{name}.weight", inputs[1].shape, before,
                self.after(name)))
            before = frozenset([len(self.convolutions) - 1])
        return [before] * outputs if outputs > 1 else before

    def after(self, name):
        """The bias and the norm of the convolution `name`."""
        norm = f"{name.removesuffix('.conv')}.norm"
        slots = {"bias": f"{name}.bias", **{f"norm.{kind}": f"{norm}.{kind}"
                                            for kind in NORM_SLOTS.values()}}
        return {(slot, tensor) for slot, tensor in slots.items() if tensor in self.names}

    def constant(self, value, name=""):
        return value                                     # an array: no images are before it

    def group_norm(self, x, *_):
        return x


@cache
def our_places(config, num_classes):
    """{digest: our name} of every tensor of a config's network."""
    configure()
    from model.solov2 import build_solov2
    from tools.engines.network import NetworkWriter

    model = build_solov2(get_config(config).replace(num_classes=num_classes))
    graph = PlaceGraph(model.state_dict())
    NetworkWriter(model, graph)(NOTHING)
    places = parameter_places(graph.convolutions)
    if set(places.values()) != graph.names:
        raise ConversionError(f"the parameters of config {config} have no places of their own")
    return places


def names_by_place(arrays, program, configs):
    """{their name: our name} for the first of `configs` whose network is the program's.

    ConversionError if it is none of them.
    """
    automatic = f"its {len(arrays)} parameters have automatic names ({shown(min(arrays))}, ...)"
    if len(arrays) < MIN_PARAMETERS:
        raise ConversionError(f"{automatic}, and a SOLOv2 has over {MIN_PARAMETERS} of them")
    shapes = sorted(array.shape for array in arrays.values())
    theirs = parameter_places(ProgramWalk(program).convolutions)
    for config in configs:
        for classes in class_counts(arrays, config):
            if sorted(expected_shapes(config, classes).values()) != shapes:
                continue
            ours = our_places(config, classes)
            if theirs.keys() == ours.keys():
                return {theirs[place]: name for place, name in ours.items()}
    raise ConversionError(
        f"{automatic}, and their places in the program are those of none of the "
        "configs; convert the .pdparams file that it was exported from")


def class_counts(arrays, config):
    """How many classes a program may have: first sides of what can be the category prediction."""
    rest = expected_shapes(config, None)[CATEGORY][1:]
    return sorted({array.shape[0] for array in arrays.values() if array.shape[1:] == rest
                   and 0 < array.shape[0] < 10_000})
