"""Run states are checked once, when they are read: wrong types and values are one sentence."""
import copy

import numpy as np
import pytest

from tests.builders import TINY, make_trainer
from tools.errors import UserError
from tools.training.run_state import checkpoint_path, read_checkpoint, save_checkpoint
from tools.training.start import resume_training
from tools.training.state_schema import RULES, check_state
from tools.weights.weights_file import write_pickle

INF, NAN = float("inf"), float("nan")


@pytest.fixture(scope="module")
def whole(shapes_dir, tmp_path_factory):
    """(config, state) of a run of two steps with an average."""
    from config import get_config
    cfg = get_config("quickstart", train_json=f"{shapes_dir}/train.json",
                     train_images=f"{shapes_dir}/train", val_json="", ema_decay=0.9,
                     output_dir=str(tmp_path_factory.mktemp("whole")), **TINY)
    make_trainer(cfg, 2).run()
    return cfg, read_checkpoint(checkpoint_path(cfg.run_dir, 2))


FIRST = "backbone.stem.0.conv.weight"
WRONG = {
    "model": [None, [], {1: np.zeros(3, np.float32)}, {"a": [1.0]}, {"a": np.zeros(2)},
              {"a": np.zeros(2, np.int64)}, {"a": np.float32([NAN])}, {"a": np.float32([INF])},
              {"norm._variance": np.float32([-1])}],
    "optimizer": [None, 3, {"a": "text"}, {b"a": np.zeros(1, np.float32)},
                  {"a": np.float32([NAN])}],
    "ema": [3, {}, {"average": {}, "updates": -1, "missing": 0.5},
            {"average": {}, "updates": 1, "missing": 1.5}, {"average": {}, "updates": 1.0,
                                                            "missing": 0.5},
            {"average": {"a": np.zeros(1)}, "updates": 1, "missing": 0.5}],
    "scaler": [None, [1], {"scale": "many"}, {"scale": NAN}, {1: 2}],
    "window": [None, {}, {"count": 1, "sums": {}}, {"count": -1, "sums": {"a": 1.0}},
               {"count": 0, "sums": {"loss": 1.0}}, {"count": 1, "sums": {"loss": NAN}},
               {"count": 1, "sums": {"loss": "1"}}],
    "num_steps": [0, -1, 2.0, "2", None, True, 10 ** 30],
    "step": [-5, 2.0, "2", None, True, INF, NAN, 10 ** 30, [2]],
    "best_ap": [INF, NAN, 2.0, "0.5", None, [0.5]],
    "config": [None, 3, b"quickstart"],
    "seed": [None, 1.5, "1", 10 ** 30],
    "class_names": [None, [], "abc", [1], [None], {"a": 1}, [["a"]]],
    "settings": [3, {"a": object}, {"a": np.zeros(1)}, {"a": NAN}, {1: 2}],
    "evaluate_first": [1, None, "yes"],
}


@pytest.mark.parametrize("entry", WRONG)
def test_wrong_entries_are_named(whole, tmp_path, entry):
    """Also through a file, whose checksum is right."""
    cfg, state = whole
    for value in WRONG[entry]:
        path = str(tmp_path / "wrong.pdstate")
        changed = {**state, entry: value}
        with pytest.raises(UserError, match=f"entry '{entry}' is damaged"):
            check_state(changed, path)
    write_pickle(path, {**state, entry: WRONG[entry][0]})
    with pytest.raises(UserError, match="wrong.pdstate"):
        read_checkpoint(path)


def test_every_entry_is_needed_and_no_other_kind_of_file_is_taken(whole):
    _, state = whole
    for entry in RULES:
        lacking = {key: value for key, value in state.items() if key != entry}
        with pytest.raises(UserError, match="not a training checkpoint"):
            check_state(lacking, "x")
    for content in (None, [], "text", {1: 2}, 3):
        with pytest.raises(UserError, match="not a training checkpoint"):
            check_state(content, "x")
    with pytest.raises(UserError, match="step 3 of 2"):
        check_state({**state, "step": 3}, "x")


def test_a_whole_state_passes_and_so_does_one_of_the_first_version(whole):
    cfg, state = whole
    assert check_state(copy.deepcopy(state), "x").keys() == state.keys()
    older = {key: state[key] for key in RULES}
    trainer = make_trainer(cfg, 2)
    trainer.restore(check_state(older, "x"), "x")
    assert trainer.step == 2


@pytest.mark.parametrize("change, message", [
    (lambda s: s["model"].update({FIRST: np.zeros((1, 2), np.float32)}), "does not fit"),
    (lambda s: s["model"].pop(FIRST), "does not fit"),
    (lambda s: s["ema"]["average"].update({FIRST: np.zeros(3, np.float32)}), "average in"),
    (lambda s: s["optimizer"].update(other=np.zeros(3, np.float32)), "entry other of its"),
    (lambda s: s["optimizer"].update({next(iter(s["optimizer"])): np.zeros(2, np.float32)}),
     "does not fit the model")])
def test_what_does_not_fit_the_model(whole, change, message):
    cfg, state = whole
    state = copy.deepcopy(state)
    change(state)
    with pytest.raises(UserError, match=message):
        make_trainer(cfg, 2).restore(check_state(state, "x"), "x")


def test_changed_settings_are_listed_with_what_they_mean(whole, tmp_path, capsys):
    cfg, state = whole
    save_checkpoint(str(tmp_path), state)
    other = cfg.replace(learning_rate=0.01, num_workers=1, flip_probability=0.25)
    trainer = make_trainer(other, 2)
    resume_training(trainer, checkpoint_path(str(tmp_path), 2))
    lines = [line.removeprefix("changed since the checkpoint: ")
             for line in capsys.readouterr().out.splitlines() if line.startswith("changed")]
    assert lines == [
        "flip_probability: 0.5 -> 0.25 (counts from here on; the end differs from that of an "
        "uninterrupted run)",
        "learning_rate: 0.03 -> 0.01 (another rate from here on)",
        "num_workers: 0 -> 1 (makes no difference to the weights)"]
    resume_training(make_trainer(cfg, 2), checkpoint_path(str(tmp_path), 2))
    assert "changed since" not in capsys.readouterr().out
