"""Exported inference models of PaddleDetection and PaddleX: a program, its parameters, a yml.

    model.pdmodel (protobuf) or inference.json (PIR, Paddle 3), or __model__ (Paddle 1.x)
    model.pdiparams, or __params__: the tensors alone, in the order of their sorted names
    infer_cfg.yml or inference.yml: how images are prepared, and the names of the classes

Names, shapes and the wiring of the operators are read; no operator is run.
"""
import json
from dataclasses import dataclass, field

from convert.errors import ConversionError
from convert.paddle_files import RECORD_START, record
from convert.protobuf import message, sides, text
from tools.errors import shown
from tools.weights.safe_pickle import is_shape

PROGRAMS = (".pdmodel", ".json", "__model__")
PARAMETERS = (".pdiparams", "__params__")
SETTINGS = (".yml", ".yaml")
MAX_JSON = 16 << 20                # bytes; the program of an R101 has 3 million
MAX_OPERATORS = 100_000
# Places of the inputs in PIR, where they have no names.
PIR_SLOTS = {"conv2d": ("Input", "Filter"), "depthwise_conv2d": ("Input", "Filter"),
             "batch_norm_": ("X", "Mean", "Variance", "Scale", "Bias"),
             "batch_norm": ("X", "Mean", "Variance", "Scale", "Bias"),
             "group_norm": ("X", "Scale", "Bias"),
             "deformable_conv": ("Input", "Offset", "Filter", "Mask")}


@dataclass
class Operator:
    """One step of a program: `inputs` {slot: [variables]}, `outputs` [variables]."""

    kind: str
    inputs: dict
    outputs: list


@dataclass
class Program:
    """What is computed from which parameters, {name: shape}."""

    parameters: dict = field(default_factory=dict)
    operators: list = field(default_factory=list)


def is_inference_model(names):
    return any(name.endswith(PARAMETERS) for name in names)


def read_inference_model(files):
    """({parameter: ndarray}, Program, text of the yml or "") of {file name: bytes}."""
    parameters = one_of(files, PARAMETERS, "parameters")
    stem = parameters.removesuffix(".pdiparams")
    programs = {name: data for name, data in files.items() if name.endswith(PROGRAMS) and (
        name == "__model__" or name.rpartition(".")[0] == stem)}
    program = read_program(files[one_of(programs, PROGRAMS, "program")])
    settings = [data for name, data in files.items() if name.endswith(SETTINGS)]
    config = bytes(settings[0][:1 << 20]).decode("utf-8", "replace") if settings else ""
    return read_parameters(files[parameters], program.parameters), program, config


def one_of(files, endings, what):
    """The one name that has one of the endings."""
    found = [name for name in files if name.endswith(endings)]
    if len(found) != 1:
        raise ConversionError(f"holds {len(found)} files of {what} ({', '.join(endings)}), "
                              "expected one; name the .pdiparams file if there are several models")
    return found[0]


def read_parameters(data, shapes):
    """{name: ndarray} of a file of parameters, whose names the program tells."""
    data, position, arrays = memoryview(data), 0, {}
    for name in sorted(shapes):
        if bytes(data[position:position + 16]) != RECORD_START:
            raise ConversionError(f"its parameters are damaged or of another program at "
                                  f"'{shown(name)}' (byte {position} of {len(data)})")
        arrays[name], position = record(name, data, position)
        if arrays[name].shape != shapes[name]:
            raise ConversionError(f"'{shown(name)}' has shape {list(arrays[name].shape)}, the "
                                  f"program says {list(shapes[name])}")
    if position != len(data):
        raise ConversionError(f"its parameters have {len(data) - position} bytes that the program "
                              "does not know")
    return arrays


def read_program(data):
    """The Program in a .pdmodel or a .json file."""
    data = memoryview(data)
    if bytes(data[:1]) == b"{":
        program = read_pir(data)
    else:
        program = read_protobuf(data)
    if not program.parameters:
        raise ConversionError("its program has no parameters")
    wrong = next((name for name, shape in program.parameters.items() if not is_shape(shape)), None)
    if wrong is not None:
        raise ConversionError(f"its program states a senseless shape for '{shown(wrong)}'")
    if len(program.operators) > MAX_OPERATORS:
        raise ConversionError(f"its program has {len(program.operators)} operators")
    return program


# -- protobuf: ProgramDesc of Paddle's framework.proto --------------------------------------------


def read_protobuf(data):
    blocks = message(data, {1: "blocks"})["blocks"]
    if not blocks or not isinstance(blocks[0], memoryview):
        raise ConversionError("is no program of Paddle")
    block = message(blocks[0], {3: "variables", 4: "operators"})
    program = Program()
    for content in block["variables"]:
        variable = message(content, {1: "name", 2: "type", 3: "persistable"})
        if variable["persistable"][:1] == [1] and variable["name"] and variable["type"]:
            shape = tensor_shape(variable["type"][0])
            if shape is not None:
                program.parameters[text(variable["name"][0])] = shape
    for content in block["operators"][:MAX_OPERATORS + 1]:
        program.operators.append(protobuf_operator(content))
    return program


def tensor_shape(kind):
    """The shape in a VarType, None if it is no dense tensor (feed, fetch)."""
    kind = message(kind, {1: "type", 3: "tensor"})
    if not kind["tensor"]:
        return None
    description = message(kind["tensor"][0], {1: "tensor"})["tensor"]
    return sides(message(description[0], {2: "sides"})["sides"]) if description else None


def protobuf_operator(content):
    operator = message(content, {1: "inputs", 2: "outputs", 3: "type"})
    kind = text(operator["type"][0]) if operator["type"] else ""
    outputs = [name for slot in operator["outputs"] for name in slot_of(slot)[1]]
    return Operator(kind, dict(map(slot_of, operator["inputs"])), outputs)


def slot_of(content):
    """(slot, [variables]) of an input or output."""
    slot = message(content, {1: "parameter", 2: "arguments"})
    return (text(slot["parameter"][0]) if slot["parameter"] else "",
            [text(name) for name in slot["arguments"]])


# -- PIR: the json of Paddle 3 --------------------------------------------------------------------


def read_pir(data):
    if len(data) > MAX_JSON:
        raise ConversionError(f"its program has {len(data)} bytes, expected at most {MAX_JSON}")
    program = Program()
    try:
        content = json.loads(bytes(data))
        for item in content["program"]["regions"][0]["blocks"][0]["ops"]:
            add_pir_operator(program, item)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise ConversionError(f"its program is no PIR of Paddle 3 ({type(error).__name__})") \
            from None
    return program


def add_pir_operator(program, item):
    """A parameter ("p") or an operator ("1.conv2d") of PIR."""
    if item["#"] == "p":
        name, = (value for value in item["A"] if type(value) is str)
        program.parameters[name] = tuple(item["O"]["TT"]["D"][1])
        program.operators.append(Operator("parameter", {"name": [name]}, [str(item["O"]["%"])]))
        return
    kind = item["#"].rpartition(".")[2]
    slots = PIR_SLOTS.get(kind, ())
    inputs = {slots[i] if i < len(slots) else str(i): [str(value["%"])]
              for i, value in enumerate(item["I"])}
    outputs = item["O"] if type(item["O"]) is list else [item["O"]]
    program.operators.append(Operator(kind, inputs, [str(value["%"]) for value in outputs]))


# -- the yml --------------------------------------------------------------------------------------


def input_settings(config):
    """(input settings that the yml states, class names): read line by line, no yaml is needed."""
    steps, names, numbers, section = [], [], {}, ""
    for line in config.splitlines():
        word = line.strip().removeprefix("- ").strip()
        key, _, value = word.partition(":")
        if key == "type" and value:
            steps.append(value.strip())
        if value.strip() == "" and word.endswith(":"):
            section = key
        elif line.strip().startswith("- ") and section in ("mean", "std"):
            numbers.setdefault(section, []).append(word)
        elif line.strip().startswith("- ") and section == "label_list":
            names.append(word.strip("'\""))
        elif ":" in word:
            section = ""
    settings = {}
    if "NormalizeImage" in steps and "Resize" in steps:
        settings["normalize_first"] = steps.index("NormalizeImage") < steps.index("Resize")
        settings["resized_size_rule"] = "round"          # of PaddleDetection's deployment code
    for key, name in (("mean", "pixel_mean"), ("std", "pixel_std")):
        values = pixel_values(numbers.get(key, []))
        if values:
            settings[name] = values
    return settings, tuple(names)


def pixel_values(words):
    """Three numbers of 0..1 on the scale 0..255, or ()."""
    try:
        values = tuple(round(float(word) * 255, 6) for word in words)
    except ValueError:
        return ()
    return values if len(values) == 3 and all(0 < value < 256 for value in values) else ()
