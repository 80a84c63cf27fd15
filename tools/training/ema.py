"""Exponential moving average of the weights, for evaluation and for the files that a run leaves."""
import contextlib

import paddle

from tools.errors import UserError
from tools.weights.misfit import find_misfit


class ExponentialMovingAverage:
    """Averages every tensor of a model's state dict, norm statistics included.

    The decay of update t is min(decay, (1 + t) / (10 + t)), as in PaddleDetection.  The average
    starts at zero and is divided by the sum of its weights, 1 - (product of the decays), or, with
    the correction "last", by PaddleDetection's 1 - (last decay) ** updates.  Of a decay of 0.9998
    its average is larger: by 6e-4 after 20 updates, 1.2e-4 to 1.3e-4 from 1000 to 45000.
    """

    def __init__(self, model, decay, correction="sum"):
        self.model, self.decay, self.updates, self.missing = model, decay, 0, 1.0
        self.correction = correction
        self.tensors = model.state_dict()            # the model's own tensors, not copies
        self.average = {name: paddle.zeros_like(tensor) for name, tensor in self.tensors.items()}

    def decay_of(self, update):
        return min(self.decay, (1 + update) / (10 + update))

    @paddle.no_grad()
    def update(self):
        """Take in the current weights; in-place operations on the device, no host copy."""
        decay = self.decay_of(self.updates)
        for name, tensor in self.tensors.items():
            self.average[name].scale_(decay).add_(tensor * (1 - decay))     # lerp_: 3 to 8 x slower
        self.updates, self.missing = self.updates + 1, self.missing * decay

    @paddle.no_grad()
    def weights(self):
        """{name: Tensor} of the average."""
        share = 1 - self.missing
        if self.correction == "last":
            share = 1 - self.decay_of(self.updates - 1) ** self.updates
        return {name: tensor / share for name, tensor in self.average.items()}

    @contextlib.contextmanager
    def applied(self):
        """Within the block the model holds the average."""
        own = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        self.model.set_state_dict(self.weights())
        try:
            yield
        finally:
            self.model.set_state_dict(own)

    def state(self):
        """What a checkpoint needs to continue."""
        return {"average": {name: tensor.numpy() for name, tensor in self.average.items()},
                "updates": self.updates, "missing": self.missing}

    def load_state(self, state, source=""):
        """Continue from `state`; UserError if it is not of this model."""
        misfit = find_misfit(state["average"],
                         {name: tuple(tensor.shape) for name, tensor in self.tensors.items()})
        if misfit:
            raise UserError(f"the average in '{source}' does not fit the model:{misfit.text()}")
        for name, array in state["average"].items():
            self.average[name].set_value(array)
        self.updates, self.missing = state["updates"], state["missing"]
