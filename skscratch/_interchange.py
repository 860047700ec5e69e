"""Interchange: scikit-learn's MLP turned into ours, and ours into scikit-learn's.

Both ways have two halves. The hyperparameters are translated. If there is something learned, the
new estimator makes an epoch on rows of zeros, by which it builds all the state that it keeps
between calls, whatever that is; then the other's numbers are written into that state.

What contains MLPs, such as a pipeline or a search, is copied with ours in place of each.
"""

import copy
import math
from collections.abc import Iterator, Mapping
from math import inf, nan
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import sklearn
from scipy.sparse import csr_matrix
from sklearn import config_context
from sklearn.base import clone, is_classifier
from sklearn.neural_network import MLPClassifier, MLPRegressor

from ._base import BaseScratchMLP
from ._classifier import ScratchMLPClassifier
from ._fitting.lbfgs import LBFGS
from ._fitting.plan import schedule_of
from ._fitting.settings import REGRESSOR_LOSSES, Settings, is_full_batch, resolve
from ._grids import translate_grid
from ._regressor import ScratchMLPRegressor
from .nn.activations import ACTIVATIONS, Activation
from .nn.fit import HISTORY, Progress
from .nn.network import Network
from .nn.optimizers import SGD, Adam, Optimizer
from .nn.parameters import Parameters
from .nn.schedules import Adaptive, Clock, Constant, InverseScaling, Schedule

# What scikit-learn has built in. Ours spell it out, so that no default of ours matters.
SHARED_ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
AUTO_BATCH_SIZE = 200
LBFGS_MEMORY = 10
ADAPTIVE = Adaptive(factor=5.0, minimum=1e-6)

# For the optimizers that both have: scikit-learn's names of the running averages.
MOMENTS: dict[type[Optimizer], tuple[str, ...]] = {SGD: ("velocities",), Adam: ("ms", "vs")}

# scikit-learn's regression losses by their inverse link; it has no others.
LOSS_OF_LINK = {"identity": "squared_error", "exp": "poisson"}

# What asks its members for decision_function if they have one, as ours do, and for predict_proba
# otherwise; and where its fitted members are.
PREFER_LOGITS = {
    "_CalibratedClassifier": "estimator",
    "OneVsOneClassifier": "estimators_",
    "OutputCodeClassifier": "estimators_",
}

# Parameters that scikit-learn's MLP has no counterpart of, with the values that go without one.
WITHOUT = {
    "feature_scaling": None,
    "numerical_embedding": None,
    "normalization": None,
    "clip_norm": None,
    "label_smoothing": 0.0,
    "class_weight": None,
    "scoring": None,
    "refit": False,
    "calibrate": False,
    "standardize_target": False,
}


def from_sklearn(estimator: Any) -> Any:
    """Turn scikit-learn's multilayer perceptron into ours, alone or within another estimator.

    What is fitted predicts the same. What is not yet trains as scikit-learn's would, up to random
    numbers and initial weights. Each parameter of ours is set, so that our defaults play no part.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor, or an estimator with such in it
        What to convert: an MLP, or a pipeline, an ensemble, a search. It stays as it is, and shares
        nothing with the result.

    Returns
    -------
    estimator : ScratchMLPClassifier, ScratchMLPRegressor, or a copy of the estimator
        Our estimator, or the same as was given with ours in place of each MLP. Grids of searches
        are translated, names and values: ``mlp__alpha`` to ``mlp__l2``, ``mlp__solver`` and
        ``mlp__momentum`` to optimizers. If an MLP is fitted, so is ours, and `partial_fit` goes on
        where that of the MLP would, with the optimizer's moments.

    Raises
    ------
    TypeError
        If there is no MLP, if it is a class, or of a derived class, which may do anything.
    ValueError
        If a parameter of the MLP is not what it may be, if a parameter of a search cannot be
        translated, or if something fitted would predict otherwise.

    See Also
    --------
    ScratchMLPClassifier.to_sklearn, ScratchMLPRegressor.to_sklearn : The way back.

    Notes
    -----
    What differs from scikit-learn all the same:

    - ``init`` is ``"glorot_uniform"``, as in scikit-learn, where weights for ``"logistic"`` have
      a third of that variance and biases are random; here biases start at 0, with the Poisson
      loss the output's at the logarithm of the mean.
    - ``dtype`` is that of the weights. If there are none yet, it is ``"auto"``: float32 where rows
      are many enough for that to save time and their values lose nothing by it, float64 elsewhere.
      scikit-learn trains in the dtype of X; set ``dtype`` to have the same.
    - For regression with several outputs, scikit-learn's gradient is the sum of the outputs' and
      ours their mean, as the loss is in both. To take the same steps, multiply ``learning_rate``
      by the number of outputs (not with Adam, which is blind to it) and divide ``l2`` by it.
    - With ``warm_start``, `fit` goes on with the optimizer's moments and the schedule's rate;
      scikit-learn's begins them anew.
    - Of a single class, probabilities are a column of 1; scikit-learn's have two columns.
    - Ours have ``decision_function``, which `CalibratedClassifierCV`, `OneVsOneClassifier` and
      `OutputCodeClassifier` prefer to ``predict_proba``. Fitted to an MLP's probabilities, they are
      refused; unfitted, they will fit to logits.

    In ``history_``, the columns that scikit-learn does not record are NaN. It records nothing but
    the last loss for ``solver="lbfgs"``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skscratch import from_sklearn
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = MLPClassifier((10,), max_iter=2000, random_state=0).fit(X, y)
    >>> clf = from_sklearn(mlp)
    >>> bool(np.allclose(clf.predict_proba(X), mlp.predict_proba(X), rtol=0, atol=1e-12))
    True
    >>> from_sklearn(MLPClassifier(solver="sgd")).optimizer
    SGD(momentum=0.9, nesterov=True)

    >>> from sklearn.model_selection import GridSearchCV
    >>> from_sklearn(GridSearchCV(MLPClassifier(), {"alpha": [0.01, 1.0]})).param_grid
    {'l2': [0.01, 1.0]}
    """
    if isinstance(estimator, type):
        raise TypeError(
            f"from_sklearn takes an estimator, got the class {estimator.__name__}; make an object "
            "of it."
        )
    parts = list(_parts(estimator))
    mlps = [part for part in parts if isinstance(part, MLPClassifier | MLPRegressor)]
    derived = [type(mlp).__name__ for mlp in mlps if not _is_mlp(mlp)]
    if derived or not mlps:
        raise TypeError(
            "from_sklearn takes an MLPClassifier or an MLPRegressor of scikit-learn, or an "
            "estimator with such in it, got "
            + (
                f"the derived class {derived[0]}."
                if derived
                else f"an object of type {type(estimator).__name__}."
            )
        )
    # Copied with what it refers to, each MLP being replaced wherever there is a reference to it.
    memo: dict[int, Any] = {id(mlp): _from_mlp(mlp) for mlp in mlps}
    converted = copy.deepcopy(estimator, memo)
    for part in parts:
        _check_responses(part, memo)
        _translate_search(part, memo)
    return converted


def _is_mlp(part: Any) -> bool:
    return type(part) in (MLPClassifier, MLPRegressor)


def _from_mlp(mlp: Any) -> BaseScratchMLP:
    ours = ScratchMLPClassifier if is_classifier(mlp) else ScratchMLPRegressor
    params = {**WITHOUT, **_our_parameters(mlp)}
    estimator = ours(**{name: params[name] for name in ours().get_params(deep=False)})
    resolve(estimator.get_params(deep=False))
    with config_context(enable_metadata_routing=True):
        for method in ("fit", "partial_fit", "score"):
            requests = getattr(mlp.get_metadata_routing(), method).requests
            requests = {name: request for name, request in requests.items() if request is not None}
            if requests:
                getattr(estimator, f"set_{method}_request")(**requests)
    if hasattr(mlp, "coefs_"):
        _learn_from_theirs(estimator, mlp)
    return estimator


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
            f"Choose what it has to convert this {type(estimator).__name__}.{hint}"
        )
    mlp = theirs(**params)
    if estimator.__sklearn_is_fitted__():
        _teach_theirs(mlp, estimator, settings)
    return mlp


# What contains an MLP -------------------------------------------------------------------------


def _parts(whole: Any) -> Iterator[Any]:
    """Yield an object and all objects that it is made of, each once."""
    seen: dict[int, Any] = {}  # the objects too, lest one that is made on the way goes, and its id
    waiting = [whole]
    while waiting:
        part = waiting.pop()
        if id(part) in seen or isinstance(part, type | ModuleType | FunctionType):
            continue
        seen[id(part)] = part
        yield part
        if isinstance(part, MLPClassifier | MLPRegressor):
            continue
        if isinstance(part, Mapping):
            waiting += part.values()
        elif isinstance(part, list | tuple | set | frozenset):
            waiting += part
        elif isinstance(part, np.ndarray) and part.dtype == object:
            waiting += part.ravel().tolist()
        waiting += getattr(part, "__dict__", {}).values()


def _check_responses(part: Any, memo: dict[int, Any]) -> None:
    """Refuse what would ask its converted members for other numbers than it was fitted to."""
    attribute = PREFER_LOGITS.get(type(part).__name__, "")
    members = getattr(part, attribute, [])
    for member in members if isinstance(members, list | tuple) else [members]:
        converted = memo.get(id(member))
        if hasattr(converted, "decision_function") and not hasattr(member, "decision_function"):
            raise ValueError(
                f"The fitted {type(part).__name__.lstrip('_')} has learned from probabilities, and "
                f"would ask the converted {type(member).__name__} for its decision_function. "
                "Convert it unfitted, from_sklearn(sklearn.base.clone(...)), and fit the result."
            )


def _translate_search(search: Any, memo: dict[int, Any]) -> None:
    """Translate the parameters of a search in its copy, and what it has found."""
    kind = next(
        (kind for kind in ("param_grid", "param_distributions") if hasattr(search, kind)), ""
    )
    if not kind or not hasattr(search, "estimator") or id(search) not in memo:
        return
    converted = memo[id(search)]

    def translate(grid: Mapping[str, Any]) -> list[dict[str, Any]]:
        grids = translate_grid(grid, search.estimator, _is_mlp, _changed_parameters)
        return copy.deepcopy(grids, memo)

    def translate_params(params: dict[str, Any]) -> dict[str, Any]:
        (grid,) = translate({name: [value] for name, value in params.items()})
        return {name: value for name, (value,) in grid.items()}

    given = getattr(search, kind)
    grids = [translate(grid) for grid in ([given] if isinstance(given, Mapping) else given)]
    if kind == "param_distributions" and len(grids) > 1 and max(map(len, grids)) > 1:
        raise ValueError(
            "from_sklearn cannot translate param_distributions: one of its dicts becomes several, "
            "and would be drawn more often than the others. Give a search for each."
        )
    flat = [grid for parts in grids for grid in parts]
    setattr(converted, kind, flat[0] if isinstance(given, Mapping) and len(flat) == 1 else flat)
    if hasattr(search, "best_params_"):
        converted.best_params_ = translate_params(search.best_params_)
    if hasattr(search, "cv_results_"):
        params = [translate_params(params) for params in search.cv_results_["params"]]
        converted.cv_results_ = _with_params(converted.cv_results_, params)


def _changed_parameters(mlp: Any, changes: dict[str, Any]) -> dict[str, Any]:
    return _our_parameters(clone(mlp).set_params(**changes))


def _with_params(results: dict[str, Any], params: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the results of a search with other parameters, in columns as scikit-learn has them."""
    columns = {}
    for name in dict.fromkeys(name for candidate in params for name in candidate):
        column = np.ma.masked_all(len(params), dtype=object)
        for i, candidate in enumerate(params):
            if name in candidate:
                column[i] = candidate[name]
        columns[f"param_{name}"] = column
    kept = {name: column for name, column in results.items() if not name.startswith("param_")}
    same = {name: results[name] for name in columns if name in results}
    return {**columns, **same, **kept, "params": params}


# Hyperparameters ------------------------------------------------------------------------------


def _our_parameters(mlp: Any) -> dict[str, Any]:
    """Return our constructor's parameters for scikit-learn's estimator."""
    fitted = hasattr(mlp, "coefs_")
    loss = LOSS_OF_LINK.get(mlp.out_activation_, mlp.loss) if fitted else mlp.loss
    if loss not in ("log_loss", *LOSS_OF_LINK.values()):
        raise ValueError(f"There is no loss here like scikit-learn's loss={loss!r}.")
    splits = mlp.early_stopping and mlp.solver != "lbfgs"
    params = {
        "hidden_layer_sizes": tuple(W.shape[1] for W in mlp.coefs_[:-1])
        if fitted
        else mlp.hidden_layer_sizes,
        "activation": mlp.activation,
        "init": "glorot_uniform",
        "optimizer": _our_optimizer(mlp),
        "l2": mlp.alpha,
        "dropout": 0.0,
        "batch_size": AUTO_BATCH_SIZE if mlp.batch_size == "auto" else mlp.batch_size,
        "learning_rate": mlp.learning_rate_init,
        "lr_schedule": _our_schedule(mlp),
        "loss": loss,
        "max_iter": mlp.max_iter,
        "shuffle": mlp.shuffle,
        "random_state": mlp.random_state,
        "tol": mlp.tol,
        "n_iter_no_change": mlp.n_iter_no_change,
        "early_stopping": mlp.early_stopping,
        # It may be 0, as long as it is not used.
        "validation_fraction": mlp.validation_fraction or (0.0 if splits else 0.1),
        "warm_start": mlp.warm_start,
        "dtype": _our_dtype(mlp.coefs_) if fitted else "auto",
        "verbose": mlp.verbose,
    }
    return copy.deepcopy(params)


def _our_dtype(coefs: list[np.ndarray]) -> str:
    return "float32" if np.result_type(*coefs) == np.float32 else "float64"


def _our_optimizer(mlp: Any) -> Optimizer:
    if mlp.solver == "sgd":
        return SGD(mlp.momentum, nesterov=bool(mlp.nesterovs_momentum and mlp.momentum > 0))
    if mlp.solver == "adam":
        return Adam(mlp.beta_1, mlp.beta_2, mlp.epsilon, correct_epsilon=False)
    if mlp.solver == "lbfgs":
        return LBFGS(memory=LBFGS_MEMORY, max_fun=mlp.max_fun)
    raise ValueError(f"solver must be 'lbfgs', 'sgd' or 'adam', got {mlp.solver!r}.")


def _our_schedule(mlp: Any) -> Schedule:
    if mlp.solver != "sgd" or mlp.learning_rate == "constant":
        return Constant()
    if mlp.learning_rate == "invscaling":
        # To the power of 0 the divisor is 1.
        return InverseScaling(mlp.power_t) if mlp.power_t != 0 else Constant()
    if mlp.learning_rate == "adaptive":
        return copy.copy(ADAPTIVE)
    raise ValueError(
        f"learning_rate must be 'constant', 'invscaling' or 'adaptive', got {mlp.learning_rate!r}."
    )


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
    automatic = [
        name
        for name in ("early_stopping", "validation_fraction")
        if settings.early_stopping and getattr(estimator, name) == "auto"
    ]
    automatic += [name for name in ("batch_size", "max_iter") if getattr(settings, name) == "auto"]

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
        lacking = {
            "optimizer": optimizer is None,
            "dropout": any(settings.dropout),
            "batch_size": settings.batch_size is None,
            "lr_schedule": schedule is None,
            **dict.fromkeys(automatic, True),
            **{
                name: getattr(estimator, name) != value
                for name, value in WITHOUT.items()
                if hasattr(estimator, name)
            },
        }
        if loss == "poisson":  # its link leaves no room for a standardized target
            lacking["standardize_target"] = False
        if getattr(estimator, "calibrate", None) == "auto" and not settings.early_stopping:
            lacking["calibrate"] = False  # nothing is held out that could calibrate
        if estimator.refit == "auto" and settings.early_stopping != "auto":
            lacking["refit"] = False
        in_the_way |= {name: getattr(estimator, name) for name in lacking if lacking[name]}

    stops_early = fitted and estimator.validation_scores_ is not None
    params = {
        "hidden_layer_sizes": tuple(built.sizes[1:-1]) if fitted else settings.hidden_layer_sizes,
        "activation": activation,
        "alpha": settings.l2,
        # scikit-learn's "auto" is 200 as well, but does not warn if there are fewer rows.
        "batch_size": "auto"
        if settings.batch_size in (None, "auto", AUTO_BATCH_SIZE)
        else settings.batch_size,
        "learning_rate_init": settings.learning_rate,
        "max_iter": 200 if settings.max_iter == "auto" else settings.max_iter,
        "shuffle": settings.shuffle,
        "random_state": copy.deepcopy(estimator.random_state),
        "tol": settings.tol,
        "verbose": settings.verbose,
        "warm_start": settings.warm_start,
        "early_stopping": stops_early
        if settings.early_stopping == "auto"
        else bool(settings.early_stopping),
        "validation_fraction": settings.validation_fraction or 0.1,
        "n_iter_no_change": settings.n_iter_no_change,
        **(optimizer or {}),
        **(schedule or {}),
    }
    # scikit-learn 1.6 has one regression loss, and no parameter for it.
    if "loss" in MLPRegressor().get_params() and not is_classifier(estimator):
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
    names = ["squared_error"]
    if "loss" in MLPRegressor().get_params():
        names += ["poisson"]
    if estimator.__sklearn_is_fitted__():
        name = LOSS_OF_LINK.get(estimator.out_activation_)
        return name if name in names else None
    for name in names:
        if estimator.loss == name or estimator.loss == REGRESSOR_LOSSES[name]():
            return name
    return None


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


# What was learned -----------------------------------------------------------------------------


def _build_state(new: Any, fitted: Any, **meanwhile: Any) -> None:
    """Let an estimator build the state of a fitted one, by an epoch on rows of zeros.

    Parameters
    ----------
    new : estimator
        Ours or scikit-learn's, not fitted.
    fitted : estimator
        The other's, whose features and targets ``new`` is to be made for.
    **meanwhile : dict
        Parameters for this epoch only.
    """
    n_outputs = fitted.n_outputs_
    if is_classifier(fitted):
        # Each class comes twice: scikit-learn takes many different values for a regression's.
        classes = np.repeat(fitted.classes_, 2)
        multilabel = fitted.out_activation_ == "logistic" and n_outputs > 1
        targets = {"y": np.eye(n_outputs, dtype=int) if multilabel else classes, "classes": classes}
    else:
        targets = {"y": np.ones((1, n_outputs) if n_outputs > 1 else 1)}
    n_rows, dtype = len(targets["y"]), fitted.coefs_[0].dtype
    X = csr_matrix((n_rows, fitted.n_features_in_), dtype=dtype)
    meanwhile |= {"early_stopping": False, "verbose": False, "batch_size": "auto"}
    params = new.get_params(deep=False)
    new.set_params(**meanwhile).partial_fit(X, **targets)
    new.set_params(**{name: params[name] for name in meanwhile})
    if hasattr(fitted, "feature_names_in_"):
        new.feature_names_in_ = fitted.feature_names_in_.copy()


def _learn_from_theirs(estimator: Any, mlp: Any) -> None:
    """Fit our estimator to predict, and to go on training, as scikit-learn's does."""
    stochastic = not is_full_batch(estimator.optimizer)
    _build_state(estimator, mlp, **({} if stochastic else {"optimizer": "sgd"}))
    network, learner = estimator.network_, estimator._fitted.learner
    _write(network, network.parameters, [*mlp.coefs_, *mlp.intercepts_])

    losses = getattr(mlp, "loss_curve_", [nan] * (mlp.n_iter_ - 1) + [getattr(mlp, "loss_", nan)])
    scores = getattr(mlp, "validation_scores_", None)
    # An interrupted epoch has a loss but no score.
    known = [float(score) for score in scores or []] + [nan] * len(losses)
    unknown = dict.fromkeys(HISTORY, nan)
    rows = [
        {**unknown, "epoch": epoch, "loss": float(loss), "validation_score": score}
        for epoch, (loss, score) in enumerate(zip(losses, known, strict=False), start=1)
    ]
    clock = Clock(epoch=len(losses), samples=mlp.t_)
    before = len(rows) - mlp.n_iter_
    fitted = estimator._fitted
    fitted.progress = Progress(clock, rows, before, watches_score=scores is not None)
    fitted.plan = fitted.plan.but("early_stopping", scores is not None, "as in scikit-learn")

    state = learner.state = learner.optimizer.init(network.parameters.vector)
    theirs: Any = getattr(mlp, "_optimizer", None)
    names = MOMENTS.get(type(estimator.optimizer), ())
    if not all(hasattr(theirs, name) for name in names):
        return  # the solver was changed since
    # Plain SGD has no moments here and useless ones there.
    ratios = _moment_ratios(estimator.optimizer, mlp)
    for moment, name, ratio in zip(state.moments, names, ratios, strict=False):
        laid_out = network.parameters.like()
        _write(network, laid_out, getattr(theirs, name))
        np.multiply(laid_out.vector, 1 / ratio, out=moment)
    state.t = getattr(theirs, "t", 0)
    if isinstance(estimator.lr_schedule, Adaptive):
        lowered = estimator.learning_rate / theirs.learning_rate
        clock.plateaus = round(math.log(lowered, ADAPTIVE.factor))


def _teach_theirs(mlp: Any, estimator: Any, settings: Settings) -> None:
    """Fit scikit-learn's estimator to predict, and to go on training, as ours does."""
    _build_state(mlp, estimator, **({"solver": "sgd"} if mlp.solver == "lbfgs" else {}))
    network, learner = estimator.network_, estimator._fitted.learner
    mlp.coefs_ = [layer.coefficients.copy() for layer in network.dense]
    mlp.intercepts_ = [layer.b[0].copy() for layer in network.dense]
    scaler = getattr(estimator._target, "scaler", None)
    if scaler is not None:
        mlp.coefs_[-1] = mlp.coefs_[-1] * scaler.scale_
        mlp.intercepts_[-1] = mlp.intercepts_[-1] * scaler.scale_ + scaler.mean_
    temperature = getattr(estimator, "temperature_", 1.0)
    mlp.coefs_[-1] = mlp.coefs_[-1] / temperature
    mlp.intercepts_[-1] = mlp.intercepts_[-1] / temperature
    mlp._best_coefs = copy.deepcopy(mlp.coefs_)
    mlp._best_intercepts = copy.deepcopy(mlp.intercepts_)

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
    rescaled = scaler is not None or temperature != 1
    if not names or learner.optimizer != settings.optimizer or rescaled:
        del mlp._optimizer  # partial_fit makes a new one
        return
    theirs, state = mlp._optimizer, copy.copy(learner).state  # which may have to make it
    ratios = _moment_ratios(settings.optimizer, mlp)
    for moment, name, ratio in zip(state.moments, names, ratios, strict=False):
        laid_out = network.parameters.like()
        np.multiply(moment, ratio, out=laid_out.vector)
        setattr(theirs, name, _read(network, laid_out))
    if isinstance(settings.optimizer, Adam):
        theirs.t = state.t
    else:
        schedule = schedule_of(settings)[0] if _their_schedule(settings) else Constant()
        theirs.learning_rate = schedule.rate(
            settings.learning_rate, estimator._fitted.progress.clock
        )


def _moment_ratios(optimizer: Optimizer, mlp: Any) -> tuple[float, ...]:
    """Return the numbers by which scikit-learn's running averages are larger than ours."""
    if not isinstance(optimizer, Adam):
        return (1.0,)
    # It adds up the outputs' squared errors where we take their mean; our Adam keeps sums.
    longer = 1.0 if is_classifier(mlp) else float(mlp.n_outputs_)
    return (1 - optimizer.beta1) * longer, (1 - optimizer.beta2) * longer**2


def _read(network: Network, parameters: Parameters) -> list[np.ndarray]:
    """Return views of the weights, then of the biases, in scikit-learn's order and shapes."""
    pairs = [views for views in network.per_layer(parameters) if views]
    return [views[0] for views in pairs] + [views[1][0] for views in pairs]


def _write(network: Network, parameters: Parameters, arrays: list[np.ndarray]) -> None:
    """Copy weights and biases, in that order, to where they belong."""
    for view, array in zip(_read(network, parameters), arrays, strict=True):
        view[...] = array
