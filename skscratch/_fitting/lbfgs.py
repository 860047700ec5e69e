"""L-BFGS: SciPy's quasi-Newton method over the network's flat parameter vector."""

import time
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any, ClassVar

import numpy as np
from scipy.optimize import minimize

from ..nn.divergence import UNWARNED, notice_divergence
from ..nn.optimizers import Optimizer
from ..nn.options import integer
from ..nn.step import loss_and_gradient

LEAST_CHANGE = 1e7 * float(np.finfo(np.float64).eps)
"""SciPy's default ``ftol``, and scikit-learn's: at a kink of ReLU the gradient never gets small."""


@dataclass
class LBFGS(Optimizer):
    """Limited-memory BFGS, on all rows at once.

    It approximates the curvature from the last gradients and searches along each direction, so
    that it needs no learning rate. On small data it often converges faster, and further, than the
    stochastic optimizers. It makes no use of ``learning_rate``, ``shuffle``, ``n_iter_no_change``
    and ``early_stopping``.

    It stops where scikit-learn's ``solver="lbfgs"`` does: when no gradient component is larger than
    ``tol``, or when an iteration makes the loss smaller by less than 2.2e-9 (of itself, where it is
    above 1; in float32 by less than 7.6e-6, which is rounding). A warm start goes on from the
    weights alone. The gradient differences are lost, and the first iterations learn the curvature
    anew: several short runs get less far than a long one.

    Parameters
    ----------
    memory : int, default=10
        Number of gradient differences that approximate the curvature, >= 1.
    max_fun : int, default=15000
        Most evaluations of loss and gradient, >= 1.

    References
    ----------
    Liu and Nocedal (1989), "On the limited memory BFGS method for large scale optimization",
    Mathematical Programming 45. The implementation is `scipy.optimize.minimize`'s.
    """

    memory: int = integer(10, minimum=1)
    max_fun: int = integer(15_000, minimum=1)

    full_batch: ClassVar[bool] = True

    def minimize(self, learner, batches, max_iter, begin, end_epoch):
        (batch,) = batches
        vector = learner.network.parameters.vector
        workspace = learner.workspace(batches.batch_size)
        gradient = workspace.gradient.vector
        settled, started = vector.copy(), time.perf_counter()

        def objective(w: np.ndarray) -> tuple[float, np.ndarray]:
            vector[...] = w
            with np.errstate(**UNWARNED):
                value = float(loss_and_gradient(learner, batch, workspace))
                if not isfinite(value):
                    notice_divergence(learner, value, batch.X, workspace)
            return value, gradient.astype(np.float64)

        def after_iteration(intermediate_result: Any) -> None:
            nonlocal started
            settled[...] = intermediate_result.x
            vector[...] = settled  # a line search may have tried others since
            begin()
            row = {
                "loss": float(intermediate_result.fun),
                "learning_rate": nan,
                "gradient_norm": float(np.linalg.norm(gradient)),
            }
            ends = end_epoch(row, started)
            started = time.perf_counter()
            if ends:
                raise StopIteration

        try:
            result = minimize(
                objective,
                vector.astype(np.float64),
                method="L-BFGS-B",
                jac=True,
                callback=after_iteration,
                options={
                    "maxiter": max_iter,
                    "maxfun": self.max_fun,
                    "maxcor": self.memory,
                    "gtol": learner.tol,
                    "ftol": max(LEAST_CHANGE, 64 * float(np.finfo(vector.dtype).eps)),
                },
            )
            if result.nit == 0:  # the start is a minimum already
                with suppress(StopIteration):
                    after_iteration(result)
        finally:
            vector[...] = settled
        # 99: a callback ended it.
        return "" if result.success or result.status == 99 else str(result.message)
