"""L-BFGS: SciPy's quasi-Newton method over the network's flat parameter vector."""

import time
import warnings
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any

import numpy as np
from scipy.optimize import minimize

from .nn.batches import Batches
from .nn.network import Workspace
from .nn.optimizers import Optimizer
from .nn.options import integer
from .nn.training import DivergenceError, Training, Validate, loss_and_gradient

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

    def minimize(
        self,
        training: Training,
        batches: Batches,
        max_iter: int,
        tol: float,
        validate: Validate | None = None,
        watcher: Any = None,
        score_training: Validate | None = None,
    ) -> str:
        """Move the network's parameters to a minimum of the loss over the whole data.

        Parameters
        ----------
        training : Training
            The network and its loss; each iteration adds a row to its history.
        batches : Batches
            The data, in a single batch.
        max_iter : int
            Most iterations.
        tol : float
            Stop when no component of the gradient is larger, or when the loss hardly changes.
        validate : callable, optional
            Gives the loss and the score on data held out, for the history.
        score_training : callable, optional
            Gives the loss and the score on the training data, for the history.
        watcher : object, optional
            Its ``begin_epoch`` and ``end_epoch`` are called after each iteration, the latter with
            the row of the history; a true answer ends the search.

        Returns
        -------
        reason : str
            SciPy's reason if the search ended before it converged, otherwise "".

        Raises
        ------
        DivergenceError
            If the loss is not finite.

        Warns
        -----
        UserWarning
            If the user interrupts it; the parameters of the last iteration are kept.
        """
        ((X, Y, weights),) = batches
        vector = training.network.parameters.vector
        workspace = Workspace(training.network, batches.batch_size, training=True)
        gradient = workspace.gradient.vector
        settled, epochs_before = vector.copy(), len(training.history["epoch"])
        training.outcome = "exhausted"
        clock, started = training.clock, time.perf_counter()

        def objective(w: np.ndarray) -> tuple[float, np.ndarray]:
            vector[...] = w
            with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
                value = float(loss_and_gradient(training, X, Y, weights, workspace))
            if not isfinite(value):
                raise DivergenceError(
                    "Training diverged: the loss became non-finite in iteration "
                    f"{len(training.history['epoch']) + 1} of L-BFGS."
                )
            return value, gradient.astype(np.float64)

        def after_iteration(intermediate_result: Any) -> None:
            nonlocal started
            settled[...] = intermediate_result.x
            clock.epoch += 1
            clock.samples += batches.n_samples
            training.epochs_made += 1
            vector[...] = settled  # a line search may have tried others since
            validation_loss, score = validate(training.network) if validate else (nan, nan)
            now = time.perf_counter()
            row = training.record(
                len(training.history["epoch"]) + 1,
                float(intermediate_result.fun),
                validation_loss,
                score,
                nan,
                float(np.linalg.norm(gradient)),
                now - started,
                score_training(training.network)[1] if score_training else nan,
            )
            started = now
            if watcher is not None:
                watcher.begin_epoch()  # SciPy tells of an iteration's end only
                if watcher.end_epoch(row):
                    training.outcome = "stopped"
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
                    "gtol": tol,
                    "ftol": max(LEAST_CHANGE, 64 * float(np.finfo(vector.dtype).eps)),
                },
            )
            if result.nit == 0:  # the start is a minimum already
                with suppress(StopIteration):
                    after_iteration(result)
        except KeyboardInterrupt:
            training.settle(epochs_before)
            warnings.warn(
                f"Training was interrupted after {len(training.history['epoch'])} iterations; "
                "the estimator keeps what it learned so far.",
                stacklevel=2,
            )
            vector[...] = settled
            training.outcome = "interrupted"
            return ""
        vector[...] = result.x
        # 99: a callback ended it.
        return "" if result.success or result.status == 99 else str(result.message)
