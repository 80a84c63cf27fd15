"""Does it learn as well?  Train a config so that another implementation can be put beside it.

    python -m tools.compare_training --config 8 --steps 50 --dump compared \\
        -o train_json=my/train.json train_images=my/images batch_size=4 pretrained=backbone.pdparams

This is training by train.py's loop, from one start (`pretrained`, the rest drawn with `seed`), in
one order of the data, with a log line per step and a warm-up; the rate decays at --milestones only.
Most configs freeze the norms of a pretrained backbone; without one they learn little, unless with
frozen_stages=0 freeze_norm_statistics=false freeze_norm_affine=false.  --dump writes what the other
implementation needs to do the same, O objects in N images of one batch:

    start.npz, end.npz     {name: array} of the weights before and after
    start.pdparams         the start once more; python -m convert renames it for other projects
    batch_00000.npz, ...   per step: images float32 [N, 3, H, W] as the network gets them;
                           masks uint8 [O, H, W], boxes float32 [O, 4] xyxy, class_indices [O] and
                           object_images [O] in the same frame; our targets (model/targets.py);
                           resized_sizes [N, 2], the image without its padding; file_names
    settings.json          every setting

The log of the run has the loss and the learning rate of each step, gradient_norms.jsonl beside it
the norm of the gradients, of the whole and of each parameter (before clipping and decay).  A log of
the other implementation with lines {"step": 1, "loss": ...} is drawn over it by
python -m tools.plot_log.
"""
from tools.runtime import configure, describe, resolve_device

configure()

import json
import os

import numpy as np
import paddle

from tools.cli import TERMINATED, build_parser, load_config, positive_int, run
from tools.data.loader import ItemStream, TrainingSamples, train_loader
from tools.data.splits import open_dataset
from tools.errors import UserError
from tools.files import atomic_file, write_json
from tools.training.start import start_training
from tools.weights.weights_file import meta_of, save_weights, to_arrays


def write_arrays(path, arrays):
    with atomic_file(path) as file:
        np.savez_compressed(file, **arrays)


def batch_arrays(batch, samples):
    """{name: array} of a batch of the loader and of the ground truth in its `samples`."""
    arrays = {name: np.asarray(value) for name, value in batch.items()}
    height, width = arrays["images"].shape[2:]
    canvases = [np.pad(sample["masks"], ((0, 0), (0, height - sample["masks"].shape[1]),
                                         (0, width - sample["masks"].shape[2])))
                for sample in samples]
    truth = {name: np.concatenate([sample[name] for sample in samples])
             for name in ("boxes", "class_indices")}
    return {**arrays, **truth, "masks": np.concatenate(canvases).astype(np.uint8)}


def dumped_batches(dataset, cfg, folder, first, end):
    """The batches of the loader, each written to `folder`, if any, when it is asked for."""
    if not folder:
        yield from train_loader(dataset, cfg, first, end)
        return
    samples, stream = TrainingSamples(dataset, cfg), ItemStream(len(dataset), cfg, first, end)
    batches = train_loader(dataset, cfg, first, end)
    for step, (batch, items) in enumerate(zip(batches, stream, strict=True), first):
        arrays = batch_arrays(batch, [samples[item] for item in items])   # drawn once more: equal
        write_arrays(f"{folder}/batch_{step:05d}.npz", arrays)
        yield batch


def write_gradient_norms(trainer):
    """Let a trainer write the norm of the gradients of each step, as a line of json."""
    path = f"{trainer.cfg.run_dir}/gradient_norms.jsonl"

    def after(part):
        if part != "exchange":
            return
        norms = {name: float(parameter.grad.norm()) for name, parameter
                 in trainer.model.named_parameters() if parameter.grad is not None}
        whole = sum(norm ** 2 for norm in norms.values()) ** 0.5
        os.makedirs(trainer.cfg.run_dir, exist_ok=True)
        with open(path, "a" if trainer.step else "w", encoding="utf-8") as file:
            file.write(json.dumps({"step": trainer.step + 1, "gradient_norm": whole,
                                   "parameters": norms}) + "\n")

    trainer.after = after


def write_start(folder, trainer):
    arrays = to_arrays(trainer.model.state_dict())
    write_arrays(f"{folder}/start.npz", arrays)
    save_weights(f"{folder}/start.pdparams", arrays, meta_of(trainer.cfg, trainer.class_names))
    write_json(f"{folder}/settings.json", trainer.cfg.as_dict(), indent=1)


def parse_args(argv=None):
    parser = build_parser(__doc__)
    parser.add_argument("--steps", type=positive_int, default=50, help="default: %(default)s")
    parser.add_argument("--milestones", type=positive_int, nargs="+", default=(), metavar="STEP",
                        help="steps from which on the rate is lr_decay times as high")
    parser.add_argument("--dump", metavar="FOLDER", help="where to write the start and the batches")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    cfg = load_config(args)
    if args.dump and os.path.isdir(args.dump) and os.listdir(args.dump):
        raise UserError(f"'{args.dump}' is not empty; --dump needs a folder of its own")
    device = resolve_device(args.device)
    paddle.set_device(device)
    print(describe(device))
    dataset = open_dataset(cfg, "train")
    milestones = tuple(step * cfg.epochs / args.steps for step in args.milestones)
    cfg = cfg.replace(max_steps=args.steps, lr_milestones=milestones, log_every=1, eval_every=0)
    if cfg.drop_block:
        print("note: DropBlock draws at random what another implementation cannot repeat; "
              "-o drop_block=false")
    trainer = start_training(
        cfg, dataset, make_batches=lambda first, end: dumped_batches(dataset, cfg, args.dump,
                                                                     first, end))
    write_gradient_norms(trainer)
    if args.dump:
        write_start(args.dump, trainer)
    trainer.run()
    if trainer.terminated:
        print(f"ended by SIGTERM after step {trainer.step}")
        return TERMINATED
    if args.dump:
        write_arrays(f"{args.dump}/end.npz", to_arrays(trainer.model.state_dict()))
        print(f"written: {args.dump}, start and end weights and {args.steps} batches")
    print(f"losses of {args.steps} steps: {cfg.run_dir}/log.jsonl, "
          f"gradient norms: {cfg.run_dir}/gradient_norms.jsonl")
    return 0


if __name__ == "__main__":
    run(main)
