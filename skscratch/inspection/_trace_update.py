"""The end of a trace: from the gradient to new parameters."""

from dataclasses import replace
from typing import Any

import numpy as np

from ..nn.optimizers import SGD, Adam, Optimizer
from ..nn.parameters import Parameters
from ..nn.step import Learner, clip, penalize
from ._passes import Passes, copy_without_dropout, named_parameters, number_in
from ._trace_report import TraceStep

# The step s for the gradient {g} at the learning rate eta, t being the number of the step.
_STEPS = {
    "AdaGrad": "v = v + {g}^2, s = -eta {g} / (sqrt(v) + epsilon)",
    "RMSprop": "v = rho v + (1 - rho) {g}^2, s = -eta {g} / (sqrt(v) + epsilon)",
    "Nadam": "s = -eta m_hat / (sqrt(v_hat) + epsilon), m and v averages of {g} and {g}^2",
}
_ADAM = "m = beta1 m + (1 - beta1) {g}, v = beta2 v + (1 - beta2) {g}^2, "
_ADAMS_STEP = "s = -eta m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon)"
_SCIKIT_LEARNS_STEP = "s = -eta sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + epsilon)"


def update_steps(learner: Learner, passes: Passes, rate: float) -> list[TraceStep]:
    """Return the steps of an update by the gradient of the passes, which is made on copies.

    Parameters
    ----------
    learner : Learner
        How the network learns; it stays as it is.
    passes : Passes
        The passes there and back.
    rate : float
        The learning rate.
    """
    trial = replace(learner, network=copy_without_dropout(passes.network), streams=(), diverged={})
    if "state" in vars(learner):  # in float64, as all of the trace
        moments, scratch = learner.state.moments, learner.state.scratch
        trial.state = replace(
            learner.state,
            moments=tuple(moment.astype(np.float64) for moment in moments),
            scratch=tuple(np.empty(room.shape) for room in scratch),
        )
    parameters, workspace = trial.network.parameters, trial.workspace(1)
    gradient = workspace.gradient
    gradient.vector[...] = passes.gradient.vector
    steps, g = [], "d"
    if trial.is_penalized:
        n = "n" if trial.mean_weight == 1 else "(n mean(w))"
        strength = trial.l2 / (len(passes.outputs[-1]) * trial.mean_weight)
        penalty = {"R": np.array(penalize(parameters, workspace, strength))}
        equation = (
            f"R = c / 2 * sum over all W of W^2, c = l2 / {n}, gW = dW + c W, g = d for all else"
        )
        given, g = {"c": np.array(strength)}, "g"
        results = penalty | _by_symbol(passes, gradient, g)
        steps.append(TraceStep("update", "penalty", equation, results, given))
    if trial.clip_norm is not None:
        norm = {"norm": np.array(clip(gradient.vector, trial.clip_norm))}
        equation = f"h = {g} min(1, bound / norm), norm = sqrt(sum of all {g}^2)"
        given, g = {"bound": np.array(trial.clip_norm)}, "h"
        results = norm | _by_symbol(passes, gradient, g)
        steps.append(TraceStep("update", "clipping", equation, results, given))
    trial.move(gradient, rate)
    moved = parameters.like()
    np.subtract(parameters.vector, passes.network.parameters.vector, out=moved.vector)
    equation = _equation(trial.optimizer).format(g=g)
    given = {"eta": np.array(rate), "t": np.array(trial.state.t)}
    if trial.optimizer.decoupled_decay:
        equation += ", and for each W besides -eta l2 W"
        given["l2"] = np.array(trial.l2)
    results = _by_symbol(passes, moved, "s")
    steps.append(TraceStep("update", repr(trial.optimizer), equation, results, given))
    results = _by_symbol(passes, parameters, "", "'")
    equation = ", ".join(f"{new} = {new[:-1]} + s{new[:-1]}" for new in list(results)[:2])
    equation += ", and so for all else" if len(results) > 2 else ""
    return [*steps, TraceStep("update", "new parameters", equation, results)]


def _equation(optimizer: Optimizer) -> str:
    """Return the optimizer's formula."""
    if isinstance(optimizer, SGD):
        if not optimizer.momentum:
            return "s = -eta {g}"
        step = "momentum v - eta {g}" if optimizer.nesterov else "v"
        return "v = momentum v - eta {g}, s = " + step
    if isinstance(optimizer, Adam):
        return _ADAM + (_ADAMS_STEP if optimizer.correct_epsilon else _SCIKIT_LEARNS_STEP)
    return _STEPS.get(type(optimizer).__name__, "s by the optimizer")


def _by_symbol(
    passes: Passes, parameters: Parameters, before: str, after: str = ""
) -> dict[str, Any]:
    """Copy the arrays of a network's parameters, or of others like them, by their symbols."""
    grouped = named_parameters(passes.network, parameters)
    return {
        f"{before}{key}{number_in(name)}{after}": array.copy()
        for name, arrays in zip(passes.names, grouped, strict=True)
        for key, array in arrays.items()
    }
