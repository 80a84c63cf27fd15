"""Muon: the momentum of a convolution is orthogonalised before it is taken off (Jordan 2024).

A convolution counts as a matrix [out, in * k * k].  The size of an update is that of AdamW (Liu et
al. 2025, "Muon is scalable for LLM training"), so that one rate and one decay fit both.
"""
import paddle

# Newton-Schulz: five steps of the polynomial a x + b x^3 + c x^5 bring all singular values near 1.
COEFFICIENTS, ITERATIONS = (3.4445, -4.7750, 2.0315), 5
UPDATE_SIZE = 0.2               # root mean square of AdamW's updates, in learning rates


class Muon(paddle.optimizer.AdamW):
    """Muon for the parameters whose names are in `matrices`, AdamW for the others.

    The other settings are those of AdamW.
    """

    def __init__(self, matrices, momentum, **settings):
        super().__init__(**settings)
        self.matrices, self.momentum = frozenset(matrices), momentum

    def _create_accumulators(self, block, parameters):
        others = [parameter for parameter in parameters if parameter.name not in self.matrices]
        super()._create_accumulators(block, others)
        for parameter in parameters:
            if parameter.name in self.matrices:
                self._add_accumulator("momentum", parameter, dtype="float32")

    def _append_optimize_op(self, block, param_and_grad):
        parameter, gradient = param_and_grad
        if parameter.name not in self.matrices:
            return super()._append_optimize_op(block, param_and_grad)
        momentum = self._get_accumulator("momentum", parameter)
        momentum.scale_(self.momentum).add_(gradient)
        update = orthogonalize((gradient + self.momentum * momentum).flatten(1))    # Nesterov's
        rate = self._create_param_lr(param_and_grad)
        if self._apply_decay_param_fun(parameter.name):
            parameter.multiply_(1 - rate * self._weight_decay)
        size = UPDATE_SIZE * max(update.shape) ** 0.5
        parameter.subtract_(size * rate * update.reshape(parameter.shape))
        return None


def orthogonalize(matrix):
    """A matrix [M, N] with its singular values brought near 1: between 0.7 and 1.2.

    Every step multiplies x by a polynomial of x x', so the small square x x' is followed instead
    of x, and what all steps multiply by is gathered: a third of the work of convolutions.
    """
    is_tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.t() if is_tall else matrix
    x = x / (x.norm() + 1e-7)
    a, b, c = COEFFICIENTS
    one = product = paddle.eye(len(x))
    square = x @ x.t()
    for _ in range(ITERATIONS):
        factor = a * one + b * square + c * square @ square
        product = factor @ product
        square = factor @ square @ factor
    x = product @ x
    return x.t() if is_tall else x
