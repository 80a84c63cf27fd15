"""The training loop: data, step, log, checkpoint, evaluation, resume.

All randomness is a pure function of (seed, step), so a run resumed at a step is the run that was
not interrupted.  In several processes (distributed.py) all do the same, and rank 0 writes.
"""
import contextlib
import signal
import time

import numpy as np
import paddle

from tools.distributed import (
    all_gather,
    all_reduce,
    barrier,
    broadcast,
    get_rank,
    get_world_size,
    is_main,
    together,
)
from tools.errors import UserError, shown
from tools.finishing import Finishing
from tools.stopping import Stopped
from tools.training.changes import changed_settings, refusals
from tools.training.ema import ExponentialMovingAverage
from tools.training.gradients import add_gradients
from tools.training.optimizer import (
    OPTIMIZERS,
    SCHEDULES,
    learning_rate_at,
    load_optimizer_state,
    optimizer_state,
)
from tools.training.progress import Lines, Window
from tools.training.run_state import open_run, prune_checkpoints, save_checkpoint
from tools.weights.weights_file import load_arrays, meta_of, save_weights, to_arrays

MUST_LEARN = 100                   # steps, an epoch at least, in which some object must have a cell


class Trainer:
    """Owns the state of a run: model, its moving average, optimizer, step, best AP.

    evaluate: function(model) -> {"segm_AP": ..., ...}, or None.
    make_batches: function(first step, end step) -> iterable of the loader's batch dicts.
    """

    def __init__(self, cfg, model, optimizer, class_names, num_steps, make_batches, evaluate=None):
        self.cfg, self.model, self.optimizer, self.class_names = cfg, model, optimizer, class_names
        self.num_steps, self.make_batches, self.evaluate = num_steps, make_batches, evaluate
        self.ema = moving_average(cfg, model)
        self.scaler = paddle.amp.GradScaler(enable=cfg.amp)     # without amp it does nothing
        self.step, self.best_ap, self.window, self.metrics = 0, -1.0, Window(), {}
        self.evaluations_without_gain = 0
        self.epoch_steps, self.learned = 0, False      # learned: an object has had a cell by now
        self.evaluate_first = False        # the evaluation of this step is still to be made
        self.terminated = False            # SIGTERM came to one of the processes, and all know
        self.illustrate = None             # function(model, path of a picture), at evaluations
        self.signals = Finishing()
        self.after = ignore                # called with the name of each part of a step, when over
        check_settings(cfg)

    def run(self):
        """Train from `self.step` to the end, or to the end of a step in which SIGTERM comes.

        Returns the last metrics, {} without evaluation and in processes that do not evaluate.
        """
        if len(set(all_gather(self.step))) > 1:
            raise UserError("the processes start at different steps; --resume needs the same "
                            "checkpoint on every node")
        with together():
            self.run_log = open_run(self.cfg, self.step) if is_main() else None
        broadcast(self.model)
        self.lines = Lines(self.num_steps, self.step, is_main())
        with Finishing() as self.signals:
            try:
                self.train()
            except Stopped as stop:        # while waiting or evaluating, so between two steps
                if stop.signal != signal.SIGTERM:
                    raise
                self.terminated = True
                self.save(alone=True)
        self.lines.close()
        if self.run_log:
            self.run_log.close()
        if not self.terminated:
            with self.averaged_model():
                self.save_weights("last")
        return self.metrics

    def train(self):
        """The steps that are left, with what is due after each."""
        cfg = self.cfg
        if self.evaluate_first:
            self.evaluate_and_keep_best()
            self.save()
        batches = iter(self.make_batches(self.step, self.num_steps))
        self.model.train()
        while self.step < self.num_steps and not (self.terminated or self.is_stuck()):
            started = time.perf_counter()
            with self.signals.abandonable(), together():
                batch = next(batches)
            loaded = time.perf_counter()
            losses = self.train_step(batch)
            self.step += 1
            self.window.add(losses, loaded - started, time.perf_counter() - started)
            last = self.step == self.num_steps
            self.log(recorded=self.step % cfg.log_every == 0 or last)
            self.check_learning()
            if (cfg.eval_every and self.step % cfg.eval_every == 0) or last:
                self.evaluate_and_keep_best()
                last = last or self.is_stuck()
            if self.step % cfg.checkpoint_every == 0 or last or self.terminated:
                self.save()

    def check_learning(self):
        """UserError after so many steps without an object that any cell learns."""
        if not self.learned and self.step >= min(max(MUST_LEARN, self.epoch_steps),
                                                 self.num_steps):
            raise UserError(f"no object to learn from: in {self.step} steps none had a cell of "
                            "the grids, as their sizes are beyond scale_ranges or they cover no "
                            "pixel; look at them with python -m tools.check_dataset")

    def is_stuck(self):
        """Whether the AP has not risen in `cfg.patience` evaluations."""
        return 0 < self.cfg.patience <= self.evaluations_without_gain

    def train_step(self, batch):
        """One update.  Returns {"loss", "mask", "category", "lr"}, of the images of all processes.

        UserError with the names of the images if the loss is not finite.
        """
        lr = learning_rate_at(self.cfg, self.step, self.num_steps)
        step_seed = self.cfg.seed * 1_000_003 + self.step
        paddle.seed(step_seed * get_world_size() + get_rank())
        losses = add_gradients(self.cfg, self.model, self.scaler, batch, self.after)
        # The only wait for the device in a step.  All processes end after the same one.
        signalled = paddle.to_tensor([float(self.signals.signalled)])
        mask, category, signals = all_reduce(paddle.concat([losses, signalled])).tolist()
        self.terminated, self.learned = signals > 0, self.learned or mask > 0
        values = {"loss": mask + category, "mask": mask, "category": category, "lr": lr}
        if not np.isfinite(values["loss"]):
            names = sum(all_gather(batch["file_names"]), [])
            raise UserError(f"step {self.step}: the loss is {values['loss']} "
                            f"(mask {mask}, category {category}) "
                            f"on the images {', '.join(names)}; look at their annotations, lower "
                            "learning_rate or set grad_clip_norm")
        self.optimizer.set_lr(lr)
        self.scaler.step(self.optimizer)        # clips the gradients, which are whole by now
        self.scaler.update()
        self.optimizer.clear_grad()
        if self.ema:
            self.ema.update()
        self.after("update")
        return values

    def state(self):
        """All that continuing needs, as plain values and arrays on the host.

        The schedule, the order of the images and every draw follow from the step.
        """
        return {"model": to_arrays(self.model.state_dict()),
                "optimizer": optimizer_state(self.optimizer, self.model),
                "ema": self.ema.state() if self.ema else None,
                "scaler": self.scaler.state_dict(), "window": vars(self.window),
                "step": self.step, "num_steps": self.num_steps, "best_ap": self.best_ap,
                "config": self.cfg.name, "seed": self.cfg.seed,
                "class_names": list(self.class_names), "settings": self.cfg.as_dict(),
                "evaluate_first": self.evaluate_first,
                "evaluations_without_gain": self.evaluations_without_gain}

    def restore(self, state, source):
        """Continue from a `state` that was read from the file `source`.

        Says which settings differ; UserError if the state is of another run or does not fit.
        """
        stored = {**state, "averaged": state["ema"] is not None, "amp": bool(state["scaler"]),
                  "optimizer": state.get("settings", {}).get("optimizer", "momentum")}
        differ = refusals(stored, {
            "optimizer": self.cfg.optimizer,
            "averaged": self.ema is not None, "amp": self.cfg.amp, "config": self.cfg.name,
            "num_steps": self.num_steps, "seed": self.cfg.seed,
            "class_names": list(self.class_names)})
        if differ:
            raise UserError(f"cannot resume '{source}': {'; '.join(differ)}; "
                            "use the settings it was started with")
        load_arrays(self.model, state["model"], source)
        load_optimizer_state(self.optimizer, self.model, state["optimizer"], source)
        if self.ema:
            self.ema.load_state(state["ema"], source)
        if self.cfg.amp:
            self.scaler.load_state_dict(state["scaler"])
        vars(self.window).update(state["window"])
        self.step, self.best_ap = state["step"], state["best_ap"]
        self.evaluate_first, self.learned = state.get("evaluate_first", False), True
        self.evaluations_without_gain = state.get("evaluations_without_gain", 0)
        for line in changed_settings(state.get("settings", {}), self.cfg.as_dict()):
            print(f"changed since the checkpoint: {line}")

    def log(self, recorded):
        """One line for people and one json record for programs, averaged since the last record."""
        self.lines.advance(self.step)
        if not recorded and not self.lines.due():
            return
        record = {"step": self.step, **self.window.means(),
                  "eta_s": self.window.eta(self.num_steps - self.step)}
        self.lines.say(record)
        if recorded:
            self.window.clear()
            self.append_log(record)

    def append_log(self, record):
        if is_main():
            self.run_log.append(record)

    def evaluate_and_keep_best(self):
        """Evaluate on the val set; the weights with the best mask AP so far stay in best.pdparams.

        Broken off by SIGTERM, it is made up for when the run continues.
        """
        if self.evaluate is None:
            return
        self.evaluate_first = True
        with self.signals.abandonable(), self.averaged_model():
            metrics = self.evaluate(self.model)
            if metrics and self.illustrate:
                self.illustrate(self.model, f"{self.cfg.run_dir}/samples/{self.step:07d}.jpg")
        if metrics:                        # rank 0 has them
            self.keep_best(metrics)
        self.evaluate_first, self.metrics = False, metrics
        self.evaluations_without_gain = all_gather(self.evaluations_without_gain)[0]
        if self.is_stuck():
            self.lines.write(f"step {self.step}: no better mask AP in {self.cfg.patience} "
                             "evaluations (patience): this is the end of the run")

    def keep_best(self, metrics):
        """Log the metrics and keep the weights if they are the best so far."""
        ap = metrics["segm_AP"]
        self.evaluations_without_gain += 1
        if ap > self.best_ap:
            self.best_ap, self.evaluations_without_gain = ap, 0
            with self.averaged_model():
                self.save_weights("best", segm_AP=ap)
        self.append_log({"step": self.step, **metrics})
        self.lines.write(f"step {self.step}  mask AP {ap:.4f}  (best so far {self.best_ap:.4f})")

    def averaged_model(self):
        """Within the block the model holds its moving average, if the run keeps one."""
        return self.ema.applied() if self.ema else contextlib.nullcontext()

    def save(self, alone=False):
        """Write a checkpoint and remove the oldest; `alone`: the other processes may be gone."""
        if is_main():
            save_checkpoint(self.cfg.run_dir, self.state())
            prune_checkpoints(self.cfg.run_dir, self.cfg.keep_checkpoints)
        if not alone:
            barrier()

    def save_weights(self, name, **extra):
        """Write <name>.pdparams into the run's folder."""
        if not is_main():
            return
        meta = meta_of(self.cfg, self.class_names, family="own", step=self.step,
                       seed=self.cfg.seed, **extra)
        arrays = to_arrays(self.model.state_dict())
        save_weights(f"{self.cfg.run_dir}/{name}.pdparams", arrays, meta)


def moving_average(cfg, model):
    """The average that a run keeps of its weights, or None."""
    if cfg.ema_correction not in ("sum", "last"):
        raise UserError(f"ema_correction '{cfg.ema_correction}': expected sum or last")
    if not cfg.ema_decay:
        return None
    return ExponentialMovingAverage(model, cfg.ema_decay, cfg.ema_correction)


def ignore(part):
    """Nobody wants to know when a part of a step is over."""


def check_settings(cfg):
    """UserError for settings that are not known, or that this device or these processes lack."""
    for key, known in (("optimizer", OPTIMIZERS), ("lr_schedule", SCHEDULES)):
        if getattr(cfg, key) not in known:
            raise UserError(f"{key}={shown(getattr(cfg, key))} is not known; choose one of "
                            f"{', '.join(known)}")
    if cfg.amp and not paddle.get_device().startswith("gpu"):
        raise UserError("amp=true needs a GPU, since Paddle computes in float32 only on the CPU; "
                        "leave it out")
    parts = get_world_size() * cfg.accumulate_steps
    if parts < 1 or cfg.batch_size % parts:
        raise UserError(f"batch_size {cfg.batch_size} cannot be shared by {get_world_size()} "
                        f"processes in accumulate_steps={cfg.accumulate_steps} parts each; choose "
                        "a multiple of their product")
