"""Our estimators turned into scikit-learn's."""

import copy
from math import inf, prod
from typing import Any

import numpy as np
import sklearn
from scipy.linalg import block_diag
from sklearn.base import is_classifier
from sklearn.neural_network import MLPClassifier, MLPRegressor

from .._base import BaseScratchMLP
from .._fitting.lbfgs import LBFGS
from .._fitting.plan import schedule_of
from .._fitting.settings import REGRESSOR_LOSSES, Settings, resolve
from ..nn.activations import ACTIVATIONS, Activation
from ..nn.network import Network
from ..nn.optimizers import SGD, Adam, Optimizer
from ..nn.schedules import Constant, InverseScaling
from .correspondence import (
    ADAPTIVE,
    AUTO_BATCH_SIZE,
    HAS_LOSS,
    LBFGS_MEMORY,
    LOSS_OF_LINK,
    MOMENTS,
    SAME,
    SHARED_ACTIVATIONS,
    WITHOUT,
    build_state,
    moment_ratios,
    read,
)


def to_sklearn(estimator: BaseScratchMLP) -> MLPClassifier | MLPRegressor:
    """Turn our estimator into scikit-learn's; see `BaseScratchMLP.to_sklearn`."""
    settings = resolve(estimator.get_params(deep=False))
    params, in_the_way = _their_parameters(estimator, settings)
    theirs = MLPClassifier if is_classifier(estimator) else MLPRegressor
    if in_the_way:
        listed = ", ".join(f"{name}={value!r}" for name, value in in_the_way.items())
        hint = (
            ""
            if estimator.__sklearn_is_fitted__()
            else " Once fitted, it may differ in how it is trained."
        )
        raise ValueError(
            f"{theirs.__name__} of scikit-learn {sklearn.__version__} has nothing like {listed}. "
            f"To convert this {type(estimator).__name__}, choose what {theirs.__name__} has, such "
            f"as activation='relu' and feature_scaling=None.{hint}"
        )
    mlp = theirs(**params)
    if estimator.__sklearn_is_fitted__():
        _teach_theirs(mlp, estimator, settings)
    return mlp


def _their_parameters(estimator: Any, settings: Settings) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return scikit-learn's parameters, and those of ours that stand in the way.

    A fitted estimator's network may differ from the parameters, which may have been changed. Only
    what its predictions depend on stands in the way then; for the rest, scikit-learn's default
    takes the place of what it lacks.
    """
    fitted = estimator.__sklearn_is_fitted__()
    built: Any = estimator.network_.architecture if fitted else settings
    activation = _shared_activation(built.activations, estimator.activation)
    loss = _shared_loss(estimator)
    optimizer = _their_optimizer(settings.optimizer)
    schedule = _their_schedule(settings)

    in_the_way: dict[str, Any] = {}
    if activation is None:
        same = built.activations == settings.activations
        in_the_way["activation"] = estimator.activation if same else built.activations
    if fitted and estimator.feature_scaler_ is not None:
        in_the_way["feature_scaling"] = "learned" if built.learned_scales else "robust"
    if fitted and built.embedding is not None:
        in_the_way["numerical_embedding"] = built.embedding
    if built.normalization is not None:
        in_the_way["normalization"] = built.normalization
    if loss is None:
        in_the_way["loss"] = estimator.loss
    if not fitted:
        given = estimator.get_params(deep=False)
        lacking = {
            "optimizer": optimizer is None,
            "dropout": any(settings.dropout),
            "batch_size": settings.batch_size in (None, "auto"),
            "lr_schedule": schedule is None,
            "max_iter": settings.max_iter == "auto",
            **{name: given[name] != value for name, value in WITHOUT.items() if name in given},
        }
        if loss == "poisson":  # its link leaves no room for a standardized target
            lacking["standardize_target"] = False
        if given.get("calibrate") == "auto" and not settings.early_stopping:
            lacking["calibrate"] = False  # nothing is held out that could calibrate
        in_the_way |= {name: given[name] for name in lacking if lacking[name]}

    hidden = settings.hidden_layer_sizes
    if fitted:  # several networks become one, as wide as all of them
        hidden = tuple(n * prod(estimator.network_.stack) for n in built.sizes[1:-1])
    params = {
        "hidden_layer_sizes": hidden,
        "activation": activation,
        "alpha": settings.l2,
        # scikit-learn's "auto" is 200 as well, but does not warn if there are fewer rows.
        "batch_size": "auto"
        if settings.batch_size in (None, "auto", AUTO_BATCH_SIZE)
        else settings.batch_size,
        "learning_rate_init": settings.learning_rate,
        "max_iter": 200 if settings.max_iter == "auto" else settings.max_iter,
        "random_state": copy.deepcopy(estimator.random_state),
        "early_stopping": bool(settings.early_stopping),
        "validation_fraction": settings.validation_fraction,
        **{name: getattr(settings, name) for name in SAME},
        **(optimizer or {}),
        **(schedule or {}),
    }
    if HAS_LOSS and not is_classifier(estimator):
        params["loss"] = loss
    return params, in_the_way


def _shared_activation(activations: list[Activation], given: Any) -> str | None:
    """Return scikit-learn's name of what all layers have in common, if it has one."""
    if not activations:  # any will do
        return given if isinstance(given, str) and given in SHARED_ACTIVATIONS else "relu"
    for name in SHARED_ACTIVATIONS:
        if all(activation == ACTIVATIONS[name]() for activation in activations):
            return name
    return None


def _shared_loss(estimator: Any) -> str | None:
    """Return scikit-learn's name of the loss, or of one with the same link if it is fitted."""
    if is_classifier(estimator):
        if estimator.__sklearn_is_fitted__():
            return "log_loss" if estimator.out_activation_ in ("softmax", "logistic") else None
        return "log_loss" if estimator.loss == "log_loss" else None
    names = ("squared_error", "poisson") if HAS_LOSS else ("squared_error",)
    if estimator.__sklearn_is_fitted__():
        name = LOSS_OF_LINK.get(estimator.out_activation_)
        return name if name in names else None
    alike = (name for name in names if estimator.loss in (name, REGRESSOR_LOSSES[name]()))
    return next(alike, None)


def _their_optimizer(optimizer: Optimizer) -> dict[str, Any] | None:
    # A derived optimizer, such as AdamW, is another one.
    if type(optimizer) is SGD:
        return {
            "solver": "sgd",
            "momentum": optimizer.momentum,
            # Without momentum it has no effect, and stays at its default.
            "nesterovs_momentum": bool(optimizer.nesterov or not optimizer.momentum),
        }
    if type(optimizer) is Adam:
        return {
            "solver": "adam",
            "beta_1": optimizer.beta1,
            "beta_2": optimizer.beta2,
            "epsilon": optimizer.epsilon,
        }
    if type(optimizer) is LBFGS and optimizer.memory == LBFGS_MEMORY:
        return {"solver": "lbfgs", "max_fun": optimizer.max_fun}
    return None


def _their_schedule(settings: Settings) -> dict[str, Any] | None:
    schedule, _ = schedule_of(settings)
    if schedule == Constant():
        return {"learning_rate": "constant"}
    # scikit-learn's other solvers have no schedule.
    if type(settings.optimizer) is SGD:
        if isinstance(schedule, InverseScaling):
            return {"learning_rate": "invscaling", "power_t": schedule.power}
        if schedule == ADAPTIVE:
            return {"learning_rate": "adaptive"}
    return None


def _as_one(network: Network) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return weights and biases of one network, whose logits are the mean of those of all."""
    coefs = [layer.coefficients.reshape(-1, layer.n_in, layer.n_out) for layer in network.dense]
    intercepts = [layer.b.reshape(-1, layer.n_out) for layer in network.dense]
    coefs[-1], intercepts[-1] = coefs[-1] / len(coefs[-1]), intercepts[-1].mean(axis=0)
    if len(coefs) == 1:
        return [coefs[0].sum(axis=0)], intercepts
    # All share the inputs, and all have a part in the outputs; in between each is for itself.
    first, *hidden, last = coefs
    blocks = [block_diag(*W) for W in hidden]
    coefs = [np.concatenate(list(first), axis=1), *blocks, np.concatenate(list(last))]
    return coefs, [b.flatten() for b in intercepts]


def _teach_theirs(mlp: Any, estimator: Any, settings: Settings) -> None:
    """Fit scikit-learn's estimator to predict, and to go on training, as ours does."""
    build_state(mlp, estimator, **({"solver": "sgd"} if mlp.solver == "lbfgs" else {}))
    network, learner = estimator.network_, estimator._fitted.learners[0]
    mlp.coefs_, mlp.intercepts_ = _as_one(network)
    scaler = getattr(estimator._target, "scaler", None)
    scale, mean = (1.0, 0.0) if scaler is None else (scaler.scale_, scaler.mean_)
    temperature = getattr(estimator, "temperature_", 1.0)
    mlp.coefs_[-1] = mlp.coefs_[-1] * scale / temperature
    mlp.intercepts_[-1] = (mlp.intercepts_[-1] * scale + mean) / temperature
    mlp._best_coefs, mlp._best_intercepts = copy.deepcopy((mlp.coefs_, mlp.intercepts_))

    losses, scores = list(estimator.loss_curve_), copy.copy(estimator.validation_scores_)
    mlp.loss_, mlp.loss_curve_ = estimator.loss_, losses
    # scikit-learn compares the next epoch with these, the one or the other.
    if mlp.early_stopping:
        mlp.best_loss_, mlp.validation_scores_ = None, scores or []
        mlp.best_validation_score_ = max(mlp.validation_scores_, default=-inf)
    else:
        mlp.best_loss_, mlp.validation_scores_ = min(losses, default=inf), scores
        mlp.best_validation_score_ = estimator.best_validation_score_
    mlp.n_iter_, mlp.t_ = estimator.n_iter_, estimator.t_

    names = MOMENTS.get(type(settings.optimizer), ())
    other_weights = scaler is not None or temperature != 1 or network.stack
    if not names or learner.optimizer != settings.optimizer or other_weights:
        del mlp._optimizer  # partial_fit makes a new one
        return
    theirs, state = mlp._optimizer, copy.copy(learner).state  # which may have to make it
    ratios = moment_ratios(settings.optimizer, mlp)
    for moment, name, ratio in zip(state.moments, names, ratios, strict=False):
        laid_out = network.parameters.like()
        np.multiply(moment, ratio, out=laid_out.vector)
        setattr(theirs, name, read(network, laid_out))
    if isinstance(settings.optimizer, Adam):
        theirs.t = state.t
    else:
        schedule = schedule_of(settings)[0] if _their_schedule(settings) else Constant()
        clock = estimator._fitted.progress.clock
        theirs.learning_rate = schedule.rate(settings.learning_rate, clock)
