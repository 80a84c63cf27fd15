"""Weights files and checkpoints: written whole or not at all, read without executing anything.

A weights file is a pickled {parameter name: float32 array} plus one entry `META`, a json text that
says what the weights are for (config, class names, source, input settings).  A checkpoint adds the
state of a run.
"""
import json
import os
import pickle

import numpy as np

from tools.errors import UserError, shown
from tools.files import atomic_file
from tools.weights import safe_pickle, schema
from tools.weights.misfit import find_misfit

META = "meta@@"
INPUT_SETTINGS = ("channel_order", "pixel_mean", "pixel_std", "resize_library", "normalize_first",
                  "resized_size_rule")
NETWORK_SETTINGS = ("backbone", "backbone_depth", "backbone_variant", "backbone_width",
                    "backbone_groups", "backbone_group_width", "backbone_dcn",
                    "backbone_dcn_stages", "fpn_channels", "num_grids", "strides", "head_channels",
                    "head_convs", "head_dcn", "head_dcn_convs", "kernel_channels", "mask_channels",
                    "mask_dcn", "dcn_bias", "norm_groups")


def write_pickle(path, content):
    """Pickle containers and arrays to `path`, atomically, and their checksum (safe_pickle.py)."""
    with atomic_file(path) as file:
        hashing = safe_pickle.HashingFile(file)
        pickler = pickle.Pickler(hashing, protocol=4)
        pickler.fast = True                # no memo, which would hold a copy of every array
        pickler.dump(content)
        file.write(hashing.tail())


def to_arrays(state_dict):
    """{name: Tensor} -> {name: numpy array}, on the host."""
    return {name: np.asarray(tensor.numpy()) for name, tensor in state_dict.items()}


def meta_of(cfg, class_names, **extra):
    """What travels with weights trained under `cfg`."""
    return {"config": cfg.name, "class_names": list(class_names),
            "network": {key: getattr(cfg, key) for key in NETWORK_SETTINGS},
            "input": {key: getattr(cfg, key) for key in INPUT_SETTINGS}, **extra}


def config_of(cfg, meta, source):
    """`cfg` with the class count and input settings that the weights state.

    UserError if the weights were made for another network, or for another class count than the
    caller asked for.
    """
    stated = {key: meta["network"][key] for key in NETWORK_SETTINGS if key in meta["network"]}
    network = cfg.replace(**stated)
    differ = [f"{key}: {getattr(network, key)!r} in the file, {getattr(cfg, key)!r} in the config"
              for key in NETWORK_SETTINGS if getattr(network, key) != getattr(cfg, key)]
    if differ:
        made_for = shown(meta["config"])
        raise UserError(f"'{source}' was made for config {made_for}, not {cfg.name}:\n  "
                        + "\n  ".join(differ)
                        + f"\nUse --config={made_for}, or override these settings with -o")
    classes = len(meta["class_names"])
    if cfg.is_overridden("num_classes") and cfg.num_classes != classes:
        raise UserError(f"'{source}' has {classes} classes, {cfg.num_classes} were asked for; "
                        "leave num_classes out, or train on your classes from it "
                        "(train.py -o pretrained=FILE)")
    known = {key: meta["input"][key] for key in INPUT_SETTINGS if key in meta["input"]}
    return cfg.replace(num_classes=classes, **known)


def save_weights(path, arrays, meta):
    """Write {name: ndarray} and a json-able `meta` to `path`, atomically."""
    write_pickle(path, {**arrays, META: json.dumps(meta)})


def read_weights(path, config="N"):
    """({name: ndarray}, meta dict) of a weights file.

    UserError if it is missing, damaged or something else; `config` is the one it is wanted for.
    """
    if not os.path.isfile(path):
        raise UserError(f"no weights file '{path}'; name another one, train it (python train.py), "
                        f"or fetch published weights: python -m convert --config {config} "
                        "--download (python -m convert --list shows them)")
    content = safe_pickle.load(path)
    if not isinstance(content, dict) or not isinstance(content.get(META), str):
        raise UserError(f"'{path}' is not a weights file of this project; convert it first: "
                        f"python -m convert {path}")
    try:
        meta = schema.parse_meta(content.pop(META))
        schema.check_arrays(content)
        schema.check_classes(meta, content)
    except UserError as error:
        raise UserError(f"'{path}' {error}; convert or train it again") from None
    return content, meta


def shapes_of(model):
    """{name: shape} of every tensor of a model."""
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def load_arrays(model, arrays, source):
    """Set every tensor of the model.

    UserError names what does not fit, and the model is left as it was.
    """
    misfit = find_misfit(arrays, shapes_of(model))
    if misfit:
        raise UserError(f"'{source}' does not fit the model:{misfit.text()}\n"
                        "Use the config it was made for, or start training from it with "
                        "-o pretrained=FILE")
    model.set_state_dict(arrays)


def load_weights(model, path: str | os.PathLike) -> dict:
    """Strictly load a weights file into a model and return its meta.

    UserError names everything that does not fit.
    """
    arrays, meta = read_weights(path)
    load_arrays(model, arrays, path)
    return meta


def load_pretrained(model, path):
    """Load what fits from a weights file; returns the Misfit: what is re-initialised or left out.

    Tensors of another shape (another class count) or missing ones keep their initialisation;
    UserError if less than half of the model's tensors fit, since then it is another architecture.
    """
    arrays, meta = read_weights(path)
    own = model.state_dict()
    misfit = find_misfit(arrays, shapes_of(model))
    skipped = {name for name in own
               if name not in arrays or arrays[name].shape != tuple(own[name].shape)}
    if len(skipped) * 2 > len(own):
        raise UserError(f"'{path}' (config {shown(meta['config'])}) fits only "
                        f"{len(own) - len(skipped)} of {len(own)} tensors of the model; "
                        "use weights of the same architecture")
    model.set_state_dict({name: tensor if name in skipped else arrays[name]
                          for name, tensor in own.items()})
    return misfit
