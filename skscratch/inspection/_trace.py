"""A trace: the way of a few rows through the network, and of the gradient back, step by step."""

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import is_classifier

from .._base import BaseScratchMLP
from .._fitting.inputs import check_data
from .._fitting.scaling import BOUND
from .._interop.notebook import count
from ..nn.embeddings import PeriodicEmbedding, PiecewiseLinearEmbedding
from ..nn.layers import Activate, Dense
from ..nn.losses import Loss
from ..nn.normalization import BatchNorm, LayerNorm
from ..nn.scaled_dense import ScaledDense
from ._passes import Passes, named_parameters, number_in
from ._subject import Subject, look_at
from ._trace_report import Trace, TraceStep
from ._trace_update import update_steps

# The loss of a row with logits Z and targets Y, and its derivative by Z, a row of it being divided
# by the number n of rows; m is the number of outputs.
_LOSSES = {
    "SoftmaxLogLoss": ("l = -sum_k {Y}_k log p_k", "(p - {Y}) / n"),
    "LogisticLogLoss": (
        "l = -sum_k ({Y}_k log p_k + (1 - {Y}_k) log(1 - p_k))",
        "(p - {Y}) / n",
    ),
    "SquaredError": ("l = 1/2 mean_k (p_k - {Y}_k)^2", "(p - {Y}) / (m n)"),
    "AbsoluteError": ("l = mean_k |p_k - {Y}_k|", "sign(p - {Y}) / (m n)"),
    "Huber": (
        "l = mean_k c_k (r_k - c_k / 2), r = p - {Y}, c = r clipped to [-delta, delta]",
        "c / (m n)",
    ),
    "Pinball": ("l = mean_k max((1 - q) r_k, -q r_k), r = p - {Y}", "(1[r > 0] - q) / (m n)"),
    "Poisson": ("l = mean_k {Y}_k log({Y}_k / p_k) - {Y}_k + p_k", "(p - {Y}) / (m n)"),
    "Gamma": ("l = mean_k log(p_k / {Y}_k) + {Y}_k / p_k - 1", "(1 - {Y} / p) / (m n)"),
}


def trace(estimator: Any, X: Any, y: Any = None, *, loss: Any = None, member: int = 0) -> Trace:
    """Follow a few rows through a network, step by step, the gradient back, and the update.

    Each step has a name, an equation, and the arrays it starts from and arrives at. The forward
    part leads from X to the logits, the prediction from there to what `predict` returns. With
    targets the loss follows, and back-propagation from its gradient to those of all parameters.
    The update adds the penalty's gradient, clips, lets the optimizer make the step that it would
    make next, at the learning rate of the last epoch, and arrives at the new parameters. Of several
    networks one is followed, and the prediction is its own; `predict` goes by the mean of their
    logits.

    Dropout is off, and all is computed in float64, on a copy. In a file an estimator may lose
    the optimizer's averages, which then start anew. L-BFGS goes by all rows and makes no update.

    Parameters
    ----------
    estimator : ScratchMLPClassifier, ScratchMLPRegressor, Pipeline, nn.Network or nn.Learner
        A fitted estimator, or a fitted pipeline that ends in one, whose other steps transform X. Of
        ``skscratch.nn`` a Learner, or a Network, which has no update: that needs an optimizer.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The rows, preferably two or three. They are taken for one batch.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Their targets; without them the trace ends with the prediction. Of a Network or a Learner a
        column for each output, as the loss takes them.
    loss : nn.Loss, default=None
        The loss of a Network, if there are targets; all others have their own.
    member : int, default=0
        The number of the network, if there are several. They differ by chance alone, so the first
        is as typical as any.

    Returns
    -------
    trace : Trace
        The steps. It prints as text, shows as HTML in a notebook, and gives each array by its
        symbol: ``trace["A1"]``. The layers' symbols end with the number of their affine map.

    Raises
    ------
    TypeError
        If the estimator is none of these, or if a Network has targets but no loss.
    ValueError
        If there is no such network, or if X or y does not fit a Network.
    sklearn.exceptions.NotFittedError
        If it is not fitted.

    Notes
    -----
    With targets, batch normalization goes by the averages of these rows, as in training, and a
    prediction then differs from that of `predict`, where running averages are in their place.

    See Also
    --------
    activations : The layers' outputs for many rows.
    gradient_check : Whether the gradients are right.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skscratch import ScratchMLPClassifier
    >>> from skscratch.inspection import trace
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = ScratchMLPClassifier((4,), activation="tanh", random_state=0).fit(X, y)
    >>> steps = trace(clf, X[:2], y[:2])
    >>> for step in steps.steps:
    ...     print(f"{step.part:<11}{step.name:<18}{step.equation}")
    forward    input             X
    forward    feature scaling   X' = a (X - m), X0 = X' / sqrt(1 + (X' / 3)^2)
    forward    dense 1           Z1 = (X0 * (1 + 20 t1)^T) W1 + b1
    forward    activation 1      A1 = f(Z1), f = Tanh(), f(z) = tanh(z),  f'(z) = 1 - f^2
    forward    dense 2           Z2 = A1 W2 + b2
    prediction temperature       Zt = Z2 / T
    prediction softmax           P = softmax(Zt)
    prediction decision          prediction = the class of the largest P in each row
    loss       targets           Y = 1 in the class's column, else 0
    loss       label smoothing   Ys = (1 - 0.1) Y + 0.1 / 3
    loss       link, softmax     p = softmax(Z2)
    loss       SoftmaxLogLoss()  L = mean over the rows of l, l = -sum_k Ys_k log p_k
    backward   loss              dZ2 = dL/dZ2 = (p - Ys) / n
    backward   dense 2           dW2 = A1^T dZ2, db2 = 1^T dZ2, dA1 = dZ2 W2^T
    backward   activation 1      dZ1 = dA1 * f'(Z1)
    backward   dense 1           D = X0^T dZ1, dW1 = (1 + 20 t1) * D, ...
    update     penalty           R = c / 2 * sum over all W of W^2, c = l2 / n, ...
    update     Adam(beta1=0.9, ...
    update     new parameters    W1' = W1 + sW1, b1' = b1 + sb1, and so for all else
    >>> steps["dW1"].shape
    (4, 4)
    """
    subject = look_at(estimator, X, loss=loss, member=member)
    passes = subject.passes(y)
    steps = _input_steps(subject.estimator, subject.X)
    symbols = [list(steps[-1].results)[-1]]
    for i in range(len(passes.names)):
        step = _forward_step(passes, i, symbols[-1])
        steps.append(step)
        symbols.append(next(iter(step.results)))
    if subject.estimator is not None:
        steps += _prediction_steps(subject.estimator, symbols[-1], passes.outputs[-1])
    if y is not None:
        targets, Y = _target_steps(subject, y, passes)
        steps += targets + _loss_steps(subject.learner.loss, passes, symbols[-1], Y)
        for i in reversed(range(len(passes.names))):
            steps.append(_backward_step(passes, i, symbols[i], symbols[i + 1]))
        if subject.rate is not None and not subject.learner.optimizer.full_batch:
            steps += update_steps(subject.learner, passes, subject.rate)
    rows = count(len(passes.outputs[-1]), "row")
    return Trace(f"Trace of {rows} through {subject.title}{subject.note}", steps)


_EMBEDDINGS: dict[type, str] = {
    PeriodicEmbedding: "cos(2 pi wE {x} + bE) aE",
    PiecewiseLinearEmbedding: "ramps({x}) aE",
}


def _input_steps(estimator: BaseScratchMLP | None, X: Any) -> list[TraceStep]:
    X = X if estimator is None else estimator._validate_input(X)
    X = X.toarray() if issparse(X) else np.asarray(X, np.float64)
    steps = [TraceStep("forward", "input", "X", {"X": X})]
    scaler = None if estimator is None else estimator.feature_scaler_
    if scaler is not None:
        equation = f"X' = a (X - m), X0 = X' / sqrt(1 + (X' / {BOUND:g})^2)"
        given = {"m": scaler.center_, "a": scaler.scale_}
        results = {"X0": scaler.transform(X)}
        steps.append(TraceStep("forward", "feature scaling", equation, results, given))
    return steps


def _forward_step(passes: Passes, i: int, symbol: str) -> TraceStep:
    """Return the step of the layer with index i, whose input has the symbol."""
    layer, name = passes.network.layers[i], passes.names[i]
    k = number_in(name)
    parameters = named_parameters(passes.network, passes.network.parameters)[i]
    given = {f"{key}{k}": array for key, array in parameters.items()}
    if isinstance(layer, Dense):
        scaled = (
            f"({symbol} * (1 + {layer.pace:g} t{k})^T)"
            if isinstance(layer, ScaledDense)
            else symbol
        )
        output, equation = f"Z{k}", f"{scaled} W{k} + b{k}"
    elif isinstance(layer, BatchNorm):
        given[f"mu{k}"], given[f"v{k}"] = _batch_statistics(passes, i, layer)
        output = f"N{k}"
        equation = f"gamma{k} * ({symbol} - mu{k}) / sqrt(v{k} + {layer.epsilon:g}) + beta{k}"
    elif isinstance(layer, LayerNorm):
        output = f"N{k}"
        equation = (
            f"gamma{k} * ({symbol} - mean) / sqrt(variance + {layer.epsilon:g}) + beta{k}, "
            "mean and variance of each row"
        )
    elif isinstance(layer, Activate):
        output = f"A{k}"
        equation = f"f({symbol}), f = {layer.activation!r}{_formula(layer)}"
    else:
        output, functions = "E", _EMBEDDINGS[type(layer)].format(x=symbol)
        equation = f"[{symbol}, {functions}], feature by feature"
    results = {output: passes.outputs[i]}
    return TraceStep("forward", name, f"{output} = {equation}", results, given)


def _backward_step(passes: Passes, i: int, symbol: str, output: str) -> TraceStep:
    """Return the step back through the layer with index i, from its output to its input."""
    layer, name = passes.network.layers[i], passes.names[i]
    k = number_in(name)
    gradients = named_parameters(passes.network, passes.gradient)[i]
    results = {f"d{key}{k}": array for key, array in gradients.items()}
    if i > 0:
        results[f"d{symbol}"] = passes.output_gradients[i - 1]
    dY = f"d{output}"
    if isinstance(layer, ScaledDense):
        equations = [
            f"D = {symbol}^T {dY}",
            f"dW{k} = (1 + {layer.pace:g} t{k}) * D",
            f"db{k} = 1^T {dY}",
            f"dt{k} = {layer.pace:g} sum_k (W{k} * D)_k",
        ]
        if i > 0:
            equations.append(f"d{symbol} = {dY} ((1 + {layer.pace:g} t{k}) * W{k})^T")
    elif isinstance(layer, Dense):
        equations = [f"dW{k} = {symbol}^T {dY}", f"db{k} = 1^T {dY}"]
        if i > 0:
            equations.append(f"d{symbol} = {dY} W{k}^T")
    elif isinstance(layer, BatchNorm | LayerNorm):
        rows = "rows" if isinstance(layer, BatchNorm) else "units"
        equations = [
            f"U = ({symbol} - mean) / sigma, mean and deviation over the {rows}",
            f"dgamma{k} = 1^T ({dY} * U)",
            f"dbeta{k} = 1^T {dY}",
        ]
        if isinstance(layer, BatchNorm):
            share = "w / sum(w)" if passes.weights is not None else "1 / n"
            equations.append(
                f"d{symbol} = gamma{k} / sigma * ({dY} - {share} (dbeta{k} + U * dgamma{k}))"
            )
        else:
            equations += [
                f"dU = {dY} * gamma{k}",
                f"d{symbol} = 1 / sigma * (dU - mean(dU) - U * mean(dU * U))",
            ]
    elif isinstance(layer, Activate):
        equations = [f"d{symbol} = {dY} * f'({symbol})"]
    else:  # an embedding, whose learned arrays' derivatives its docstring has
        equations = [f"{key} = dL/d{key[1:]}" for key in results]
    return TraceStep("backward", name, ", ".join(equations), results)


def _prediction_steps(estimator: Any, symbol: str, Z: np.ndarray) -> list[TraceStep]:
    steps = []
    link = estimator.out_activation_
    if not is_classifier(estimator):
        predicted = estimator._target.decode(Z)
        scaler = estimator._target.scaler
        if scaler is not None:
            given = {"scale": scaler.scale_, "mean": scaler.mean_}
            equation = f"prediction = scale * {symbol} + mean"
            return [
                TraceStep("prediction", "target units", equation, {"prediction": predicted}, given)
            ]
        equation = f"prediction = {symbol if link == 'identity' else f'{link}({symbol})'}"
        return [TraceStep("prediction", link, equation, {"prediction": predicted})]
    logits = symbol
    if estimator.temperature_ != 1:
        logits = "Zt"
        T = np.array(estimator.temperature_)
        steps.append(
            TraceStep("prediction", "temperature", f"Zt = {symbol} / T", {"Zt": Z / T}, {"T": T})
        )
    P = estimator._target.probabilities(estimator._temper(Z))
    equation = f"P = {link}({logits})"
    decided = "prediction = the class of the largest P in each row"
    if estimator._target.multilabel:
        decided = "prediction = 1[P > 1/2]"
    elif estimator._target.is_binary:
        equation = f"P = [1 - p, p], p = {link}({logits})"
    steps.append(TraceStep("prediction", link, equation, {"P": P}))
    labels = estimator._target.labels(Z)
    steps.append(TraceStep("prediction", "decision", decided, {"prediction": labels}))
    return steps


def _target_steps(subject: Subject, y: Any, passes: Passes) -> tuple[list[TraceStep], str]:
    """Return the steps from y to what the loss takes, and the symbol of that."""
    estimator = subject.estimator
    if estimator is None:
        return [TraceStep("loss", "targets", "Y = y", {"Y": passes.targets})], "Y"
    _, y, _ = check_data(estimator, subject.X, y, None, estimator._clean_target, reset=False)
    encoded = np.asarray(estimator._target.encode(y, np.float64))
    given = {}
    if is_classifier(estimator):
        equation = "Y = y"
        if not estimator._target.multilabel:
            place = (
                "for the second class" if estimator._target.is_binary else "in the class's column"
            )
            equation = f"Y = 1 {place}, else 0"
    elif estimator._target.scaler is not None:
        given = {"mean": estimator._target.scaler.mean_, "scale": estimator._target.scaler.scale_}
        equation = "Y = (y - mean) / scale"
    else:
        equation = "Y = y"
    steps = [TraceStep("loss", "targets", equation, {"Y": encoded}, given)]
    Y = "Y"
    if not np.array_equal(encoded, passes.targets):
        s, Y = estimator.label_smoothing, "Ys"
        K = encoded.shape[1] if estimator.out_activation_ == "softmax" else 2
        equation = f"Ys = (1 - {s:g}) Y + {s:g} / {K}"
        steps.append(TraceStep("loss", "label smoothing", equation, {Y: passes.targets}))
    return steps, Y


def _loss_steps(loss: Loss, passes: Passes, symbol: str, Y: str) -> list[TraceStep]:
    """Return the steps from logits and targets, which have the symbols, to the loss's gradient."""
    link = loss.out_activation
    p = {"p": loss.inverse_link(passes.outputs[-1])}
    equation = f"p = {symbol if link == 'identity' else f'{link}({symbol})'}"
    steps = [TraceStep("loss", f"link, {link}", equation, p)]
    row_loss, derivative = _LOSSES.get(type(loss).__name__, ("l by the loss", "its derivative"))
    given, mean = {}, "mean over the rows of l"
    if passes.weights is not None:
        given, mean = {"w": passes.weights}, "mean over the rows of w l"
        derivative = f"w {derivative}"
    equation = f"L = {mean}, {row_loss.format(Y=Y)}"
    results = {"L": np.array(passes.loss)}
    steps.append(TraceStep("loss", repr(loss), equation, results, given))
    equation = f"d{symbol} = dL/d{symbol} = {derivative.format(Y=Y)}"
    results = {f"d{symbol}": passes.output_gradients[-1]}
    return [*steps, TraceStep("backward", "loss", equation, results)]


def _batch_statistics(passes: Passes, i: int, layer: BatchNorm) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance that batch normalization went by."""
    if passes.targets is None:
        return layer.mean, layer.variance
    Z, weights = passes.outputs[i - 1], passes.weights
    if weights is not None:
        weights = weights.mean(axis=1)
    mean = np.average(Z, axis=0, weights=weights)
    return mean, np.average((Z - mean) ** 2, axis=0, weights=weights)


def _formula(layer: Activate) -> str:
    """Return the formula that an activation's docstring begins with."""
    first = (type(layer.activation).__doc__ or "").strip().split("\n")[0]
    return f", {first.rstrip('.')}" if first.startswith("f(z)") else ""
