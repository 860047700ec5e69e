"""What a pass through the network tells of each layer: gradients, updates, idle units."""

import copy
from typing import Any

import numpy as np

from ..nn.activations import Activation
from ..nn.layers import Activate, Dense
from ..nn.step import Learner, clip, penalize
from ._passes import Passes, run_passes

VANISHING = 1e-7
"""A mean |gradient| below this is vanishing."""
EXPLODING = 1e3
"""A largest |gradient| above this is exploding."""

# Shares of an activation's steepest slope. Leaky ReLU's 0.01 is no death; tanh is below the second
# one beyond 0.975.
_DEAD_SLOPE = 0.001
_SATURATED_SLOPE = 0.05


def layer_statistics(
    estimator: Any, X: Any, y: Any, sample_weight: Any = None, learning_rate: Any = None
) -> dict[str, list[Any]]:
    """Measure each layer of a fitted estimator on some rows, which are taken for one batch.

    Parameters
    ----------
    estimator : ScratchMLPClassifier or ScratchMLPRegressor
        A fitted estimator, of several networks what `one_network` returns. It stays as it is.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The inputs.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        The targets.
    sample_weight : array-like of shape (n_samples,), optional
        Weights of the rows.
    learning_rate : float, optional
        The rate of the step; by default that of the last epoch.

    Returns
    -------
    statistics : dict of list
        One value for each affine map, the last of which has no activation. `LayerMonitor` says what
        is in the columns.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        passes = run_passes(estimator, X, y, sample_weight)
        gradients = _weight_gradients(passes)
        dead, saturated = idle_shares(passes)
        n_rows = passes.outputs[-1].shape[0]
        return {
            "layer": list(range(1, len(gradients) + 1)),
            "mean_gradient": [float(np.mean(np.abs(dW))) for dW in gradients],
            "max_gradient": [float(np.max(np.abs(dW))) for dW in gradients],
            "std_gradient": [float(np.std(dW)) for dW in gradients],
            "update_ratio": _update_ratios(estimator, passes.gradient, n_rows, learning_rate),
            "dead_share": [*dead, np.nan],
            "saturated_share": [*saturated, np.nan],
        }


def idle_shares(passes: Passes) -> tuple[list[float], list[float]]:
    """Return the shares of dead and of saturated units in each hidden layer.

    A unit is dead if its activation is flat (for ReLU: 0) on every row, so that it never learns.
    One of a bounded activation, such as tanh, is saturated if it is nearly flat on most rows; for
    other activations the share is NaN.
    """
    dead, saturated = [], []
    for Z, layer in zip(passes.outputs, passes.network.layers[1:], strict=False):
        if isinstance(layer, Activate):
            f = layer.activation
            steepest = np.max(np.abs(_slopes(f, np.linspace(-10, 10, 2001)[:, np.newaxis])))
            slopes = np.abs(_slopes(f, Z)) / steepest
            nearly_flat = np.mean(slopes < _SATURATED_SLOPE, axis=0) > 0.5
            dead.append(float(np.mean(np.all(slopes < _DEAD_SLOPE, axis=0))))
            saturated.append(float(np.mean(nearly_flat)) if _is_bounded(f) else np.nan)
    return dead, saturated


def _is_bounded(activation: Activation) -> bool:
    """Say whether an activation is flat far out on both sides, as tanh is."""
    far_out = np.array([[-100.0], [100.0]])
    return bool(np.all(np.abs(_slopes(activation, far_out)) < 1e-6))


def _slopes(activation: Activation, Z: np.ndarray) -> np.ndarray:
    """Return f'(Z), as the way back through the activation multiplies by it."""
    Z = Z.copy()
    A = Z if activation.in_place else np.empty_like(Z)
    saved = [np.empty_like(Z) for _ in range(activation.n_saved)]
    slopes = np.ones_like(Z)
    activation.forward(Z, A, *saved)
    activation.backward(slopes, Z, A, *saved)
    return slopes


def _weight_gradients(passes: Passes) -> list[np.ndarray]:
    gradient: Any = passes.gradient
    layers = zip(passes.network.layers, passes.network.per_layer(gradient), strict=True)
    return [views[0] for layer, views in layers if isinstance(layer, Dense)]


def _update_ratios(
    estimator: Any, gradient: Any, n_rows: int, learning_rate: float | None
) -> list[float]:
    """Return |step| / |W| for each affine map, by making a step on a copy of the network."""
    learner: Learner = estimator._fitted.learners[0]
    if learner.optimizer.full_batch:
        return [np.nan] * len(learner.network.dense)
    if learning_rate is None:
        rows = estimator._fitted.progress.rows
        learning_rate = rows[-1]["learning_rate"] if rows else learner.learning_rate
    trial = copy.deepcopy(learner)
    parameters, workspace = trial.network.parameters, trial.workspace(1)
    # In the network's own precision, and free to be changed.
    workspace.gradient.vector[...] = gradient.vector
    if trial.is_penalized:
        penalize(parameters, workspace, trial.l2 / (n_rows * trial.mean_weight))
    clip(workspace.gradient.vector, trial.clip_norm)
    trial.move(workspace.gradient, learning_rate)
    ratios = []
    for before, after in zip(learner.network.dense, trial.network.dense, strict=True):
        W = before.W.astype(float)
        length = np.linalg.norm(W)
        step = np.linalg.norm(after.W - W)
        ratios.append(float(step / length) if length > 0 else np.nan)
    return ratios
