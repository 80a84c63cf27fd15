"""The training loop: data, step, log, checkpoint, evaluation, resume.

All randomness is a pure function of (seed, step), so a run resumed at a step is the run that was
not interrupted.  In several processes (distributed.py) all do the same, and rank 0 writes.
"""
import contextlib
import signal
import time

import numpy as np
import paddle
from tqdm import tqdm

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
from tools.errors import UserError
from tools.training.changes import changed_settings, refusals
from tools.training.ema import ExponentialMovingAverage
from tools.training.gradients import add_gradients
from tools.training.optimizer import learning_rate_at, load_optimizer_state, optimizer_state
from tools.training.progress import Window, line_of
from tools.training.run_state import open_run, prune_checkpoints, save_checkpoint
from tools.weights.weights_file import load_arrays, meta_of, save_weights, to_arrays


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
        self.step, self.best_ap, self.window = 0, -1.0, Window()
        self.signalled = False             # SIGTERM came to this process
        self.terminated = False            # ... or to another one, and all know
        self.after = ignore                # called with the name of each part of a step, when over
        check_settings(cfg)

    def run(self):
        """Train from `self.step` to the end, or to the end of a step in which SIGTERM comes.

        Returns the last metrics, {} without evaluation and in processes that do not evaluate.
        """
        cfg, metrics, window = self.cfg, {}, self.window
        if len(set(all_gather(self.step))) > 1:
            raise UserError("the processes start at different steps; --resume needs the same "
                            "checkpoint on every node")
        self.run_log = open_run(cfg, self.step) if is_main() else None
        broadcast(self.model)
        bar = tqdm(total=self.num_steps, initial=self.step, disable=None if is_main() else True,
                   dynamic_ncols=True, unit="step")
        with sigterm_calls(self.end_after_step):
            batches = iter(self.make_batches(self.step, self.num_steps))
            self.model.train()
            while self.step < self.num_steps and not self.terminated:
                started = time.perf_counter()
                with together():
                    batch = next(batches)
                loaded = time.perf_counter()
                losses = self.train_step(batch)
                self.step += 1
                window.add(losses, loaded - started, time.perf_counter() - started)
                bar.update()
                last = self.step == self.num_steps
                if self.step % cfg.log_every == 0 or last:
                    self.log(window, bar)
                if (cfg.eval_every and self.step % cfg.eval_every == 0) or last:
                    metrics = self.evaluate_and_keep_best()
                    barrier()
                if self.step % cfg.checkpoint_every == 0 or last or self.terminated:
                    self.save()
        bar.close()
        if self.step == self.num_steps:
            with self.averaged_model():
                self.save_weights("last")
        return metrics

    def end_after_step(self):
        self.signalled = True

    def train_step(self, batch):
        """One update.  Returns {"loss", "mask", "category", "lr"}, of the images of all processes.

        UserError with the names of the images if the loss is not finite.
        """
        lr = learning_rate_at(self.cfg, self.step, self.num_steps)
        step_seed = self.cfg.seed * 1_000_003 + self.step
        paddle.seed(step_seed * get_world_size() + get_rank())
        losses = add_gradients(self.cfg, self.model, self.scaler, batch, self.after)
        # The only wait for the device in a step.  All processes end after the same one.
        signalled = paddle.to_tensor([float(self.signalled)])
        mask, category, signals = all_reduce(paddle.concat([losses, signalled])).tolist()
        self.terminated = signals > 0
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
                "class_names": list(self.class_names), "settings": self.cfg.as_dict()}

    def restore(self, state, source):
        """Continue from a `state` that was read from the file `source`.

        Says which settings differ; UserError if the state is of another run or does not fit.
        """
        stored = {**state, "averaged": state["ema"] is not None, "amp": bool(state["scaler"])}
        differ = refusals(stored, {
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
        for line in changed_settings(state.get("settings", {}), self.cfg.as_dict()):
            print(f"changed since the checkpoint: {line}")

    def log(self, window, bar):
        """One line for people and one json record for programs, averaged since the last one."""
        eta = window.eta(self.num_steps - self.step)
        record = {"step": self.step, **window.means(), "eta_s": eta}
        window.clear()
        bar.write(line_of(record, self.num_steps))
        self.append_log(record)

    def append_log(self, record):
        if is_main():
            self.run_log.append(record)

    def evaluate_and_keep_best(self):
        """Metrics of the val set, logged.

        The weights with the best mask AP so far stay in best.pdparams.
        """
        if self.evaluate is None:
            return {}
        with self.averaged_model():
            metrics = self.evaluate(self.model)
            if not metrics:                # rank 0 has them
                return {}
            ap = metrics["segm_AP"]
            if ap > self.best_ap:
                self.best_ap = ap
                self.save_weights("best", segm_AP=ap)
        self.append_log({"step": self.step, **metrics})
        tqdm.write(f"step {self.step}  mask AP {ap:.4f}  (best so far {self.best_ap:.4f})")
        return metrics

    def averaged_model(self):
        """Within the block the model holds its moving average, if the run keeps one."""
        return self.ema.applied() if self.ema else contextlib.nullcontext()

    def save(self):
        """Write a checkpoint and remove the oldest."""
        if is_main():
            save_checkpoint(self.cfg.run_dir, self.state())
            prune_checkpoints(self.cfg.run_dir, self.cfg.keep_checkpoints)
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
    """UserError for settings that this device or number of processes cannot serve."""
    if cfg.amp and not paddle.get_device().startswith("gpu"):
        raise UserError("amp=true needs a GPU, since Paddle computes in float32 only on the CPU; "
                        "leave it out")
    parts = get_world_size() * cfg.accumulate_steps
    if parts < 1 or cfg.batch_size % parts:
        raise UserError(f"batch_size {cfg.batch_size} cannot be shared by {get_world_size()} "
                        f"processes in accumulate_steps={cfg.accumulate_steps} parts each; choose "
                        "a multiple of their product")


@contextlib.contextmanager
def sigterm_calls(function):
    """Within the block a SIGTERM calls `function` instead of ending the process."""
    previous = signal.signal(signal.SIGTERM, lambda *_: function())
    if get_world_size() > 1:
        signal.siginterrupt(signal.SIGTERM, False)       # Paddle's sockets take it for a failure
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
