"""What `--resume` with other settings means: refused, another continuation, or nothing."""

from tools.errors import shown

# What a checkpoint holds was made under these.
IDENTITY = ("config", "optimizer", "seed", "num_steps", "class_names", "averaged", "amp")
# Settings that only say how a run is watched or how fast it is.
HARMLESS = {"num_workers", "log_every", "checkpoint_every", "keep_checkpoints", "visualdl",
            "tensorboard", "output_dir", "weights", "pretrained", "test_json", "test_images",
            "draw_threshold", "polygon_tolerance", "sample_pictures"}
MEANING = {
    "batch_size": "the images come in another order and the rate follows the batch",
    "shuffle": "the images come in another order",
    "train_json": "other images from here on", "train_images": "other images from here on",
    "val_json": "AP before and after cannot be compared",
    "val_images": "AP before and after cannot be compared",
    "learning_rate": "another rate from here on", "lr_milestones": "another rate from here on",
    "lr_decay": "another rate from here on", "lr_schedule": "another rate from here on",
    "epochs": "the milestones move",
    "eval_every": "evaluated at other steps, so that best.pdparams may be of another step",
    "patience": "may end earlier or later",
}
OTHERWISE = "counts from here on; the end differs from that of an uninterrupted run"


def refusals(stored, now):
    """Texts on what a checkpoint and a run must share, and do not; both are dicts of IDENTITY."""
    return [f"{key} {as_text(stored[key])} in the checkpoint, {as_text(now[key])} now"
            for key in IDENTITY if stored[key] != now[key]]


def changed_settings(stored, now):
    """A line for each setting that differs from that of the checkpoint, with what it means."""
    lines = []
    for key in sorted(now):
        if key in stored and not same(stored[key], now[key]):
            meaning = "makes no difference to the weights" if key in HARMLESS else \
                MEANING.get(key, OTHERWISE)
            lines.append(f"{key}: {as_text(stored[key])} -> {as_text(now[key])} ({meaning})")
    return lines


def same(stored, now):
    return as_lists(stored) == as_lists(now)


def as_lists(value):
    """A value with lists instead of tuples, however they were stored."""
    return [as_lists(item) for item in value] if isinstance(value, (list, tuple)) else value


def as_text(value, most=6):
    """A checked value of a checkpoint (state_schema.py), short."""
    if not isinstance(value, (list, tuple)):
        return shown(value)
    items = [as_text(item) for item in value[:most]] + ["..."] * (len(value) > most)
    return f"({', '.join(items)})"
