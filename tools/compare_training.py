"""Does it learn as well?  Train a config so that another implementation can be put beside it.

    python -m tools.compare_training --config 8 --steps 50 --dump compared \\
        -o train_json=my/train.json train_images=my/images batch_size=4 pretrained=backbone.pdparams

This is training by train.py's loop, from one start (`pretrained`, the rest drawn with `seed`), in
one order of the data, with a log line per step, warm-up but no decay of the rate.  Most configs
freeze the norms of a pretrained backbone; without one they learn little, unless with
frozen_stages=0 freeze_norm_statistics=false freeze_norm_affine=false.  --dump writes what the other
implementation needs to do the same, O objects in N images of one batch:

    start.npz, end.npz     {name: array} of the weights before and after
    start.pdparams         the start once more; python -m convert renames it for other projects
    batch_00000.npz, ...   per step: images float32 [N, 3, H, W] as the network gets them;
                           masks uint8 [O, H, W], boxes float32 [O, 4] xyxy, class_indices [O] and
                           object_images [O] in the same frame; our targets (model/targets.py);
                           resized_sizes [N, 2], the image without its padding; file_names
    settings.json          every setting

The log of the run has the loss and the learning rate of each step.  A log of the other
implementation with lines {"step": 1, "loss": ...} is drawn over it by python -m tools.plot_log.
"""
from tools.runtime import configure, describe, resolve_device

configure()

import os

import numpy as np
import paddle

from model.solov2 import build_solov2
from tools.cli import TERMINATED, build_parser, load_config, run
from tools.data.loader import ItemStream, TrainingSamples, train_loader
from tools.data.splits import open_dataset
from tools.errors import UserError
from tools.files import atomic_file, write_json
from tools.training.loop import Trainer
from tools.training.optimizer import build_optimizer
from tools.weights.weights_file import load_pretrained, meta_of, save_weights, to_arrays


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
    """The batches of the loader, each written to `folder` when it is asked for."""
    samples, stream = TrainingSamples(dataset, cfg), ItemStream(len(dataset), cfg, first, end)
    batches = train_loader(dataset, cfg, first, end)
    for step, (batch, items) in enumerate(zip(batches, stream, strict=True), first):
        arrays = batch_arrays(batch, [samples[item] for item in items])   # drawn once more: equal
        write_arrays(f"{folder}/batch_{step:05d}.npz", arrays)
        yield batch


def parse_args(argv=None):
    parser = build_parser(__doc__)
    parser.add_argument("--steps", type=int, default=50, help="default: %(default)s")
    parser.add_argument("--dump", metavar="FOLDER", help="where to write the start and the batches")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    cfg = load_config(args)
    if args.steps < 1:
        raise UserError(f"--steps {args.steps}: expected at least 1")
    if args.dump and os.path.isdir(args.dump) and os.listdir(args.dump):
        raise UserError(f"'{args.dump}' is not empty; --dump needs a folder of its own")
    device = resolve_device(args.device)
    paddle.set_device(device)
    print(describe(device))
    dataset = open_dataset(cfg, "train")
    cfg = cfg.replace(num_classes=dataset.num_classes, max_steps=args.steps, lr_milestones=(),
                      log_every=1, eval_every=0)
    if cfg.drop_block:
        print("note: DropBlock draws at random what another implementation cannot repeat; "
              "-o drop_block=false")
    trainer = start_trainer(cfg, dataset, args.dump)
    trainer.run()
    if trainer.step < args.steps:
        print(f"ended by SIGTERM after step {trainer.step}")
        return TERMINATED
    if args.dump:
        write_arrays(f"{args.dump}/end.npz", to_arrays(trainer.model.state_dict()))
        print(f"written: {args.dump}, start and end weights and {args.steps} batches")
    print(f"losses of {args.steps} steps: {cfg.run_dir}/log.jsonl")
    return 0


def start_trainer(cfg, dataset, folder):
    """A Trainer before its first step; writes the start, and later the batches, to `folder`."""
    paddle.seed(cfg.seed)
    model = build_solov2(cfg)
    if cfg.pretrained:
        misfit = load_pretrained(model, cfg.pretrained)
        print(f"start: {cfg.pretrained}, {len(misfit)} tensors drawn with seed {cfg.seed}")
    else:
        print(f"start: all weights drawn with seed {cfg.seed}")

    def make_batches(first, end):
        return (dumped_batches(dataset, cfg, folder, first, end) if folder
                else train_loader(dataset, cfg, first, end))

    if folder:
        arrays = to_arrays(model.state_dict())
        write_arrays(f"{folder}/start.npz", arrays)
        save_weights(f"{folder}/start.pdparams", arrays, meta_of(cfg, dataset.class_names))
        write_json(f"{folder}/settings.json", cfg.as_dict(), indent=1)
    return Trainer(cfg, model, build_optimizer(cfg, model), dataset.class_names, cfg.max_steps,
                   make_batches)


if __name__ == "__main__":
    run(main)
