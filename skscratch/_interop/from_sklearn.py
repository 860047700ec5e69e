"""scikit-learn's multilayer perceptrons turned into ours, also where others contain them."""

import copy
import math
from math import nan
from typing import Any

import numpy as np
from sklearn import config_context
from sklearn.base import clone, is_classifier

from .._base import BaseScratchMLP
from .._classifier import ScratchMLPClassifier
from .._fitting.lbfgs import LBFGS
from .._fitting.settings import is_full_batch, resolve
from .._regressor import ScratchMLPRegressor
from ..nn.fit import HISTORY, Progress
from ..nn.optimizers import SGD, Adam, Optimizer
from ..nn.schedules import Adaptive, Clock, Constant, InverseScaling, Schedule
from .containers import check_responses, contained, is_mlp, translate_search
from .correspondence import (
    ADAPTIVE,
    AUTO_BATCH_SIZE,
    LBFGS_MEMORY,
    LOSS_OF_LINK,
    MLPS,
    MOMENTS,
    SAME,
    WITHOUT,
    build_state,
    moment_ratios,
    write,
)


def from_sklearn(estimator: Any) -> Any:
    """Turn scikit-learn's multilayer perceptron into ours, alone or within another estimator.

    What is fitted predicts the same. What is not yet trains as scikit-learn's would, up to random
    numbers and initial weights. Each parameter of ours is set, so that our defaults play no part.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor, or an estimator with such in it
        What to convert: an MLP, a pipeline, an ensemble, a search. It shares nothing with the
        result.

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
    - ``dtype`` is that of the weights, or ``"auto"`` if there are none yet. scikit-learn trains in
      the dtype of X.
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
    name = getattr(estimator, "__name__", type(estimator).__name__)
    if isinstance(estimator, type):
        raise TypeError(
            f"from_sklearn takes an estimator, got the class {name}; make an object of it."
        )
    parts = list(contained(estimator))
    mlps = [part for part in parts if isinstance(part, MLPS)]
    derived = [type(mlp).__name__ for mlp in mlps if not is_mlp(mlp)]
    if derived or not mlps:
        got = f"the derived class {derived[0]}" if derived else f"an object of type {name}"
        raise TypeError(
            "from_sklearn takes an MLPClassifier or an MLPRegressor of scikit-learn, or an "
            f"estimator with such in it, got {got}."
        )
    # Copied with what it refers to, each MLP being replaced wherever there is a reference to it.
    memo: dict[int, Any] = {id(mlp): _from_mlp(mlp) for mlp in mlps}
    converted = copy.deepcopy(estimator, memo)
    for part in parts:
        check_responses(part, memo)
        translate_search(part, memo, _changed_parameters)
    return converted


def _from_mlp(mlp: Any) -> BaseScratchMLP:
    ours = ScratchMLPClassifier if is_classifier(mlp) else ScratchMLPRegressor
    params = {**WITHOUT, **_our_parameters(mlp)}
    estimator = ours(**{name: params[name] for name in ours().get_params(deep=False)})
    resolve(estimator.get_params(deep=False))
    with config_context(enable_metadata_routing=True):
        for method in ("fit", "partial_fit", "score"):
            asked = getattr(mlp.get_metadata_routing(), method).requests.items()
            if requests := {name: request for name, request in asked if request is not None}:
                getattr(estimator, f"set_{method}_request")(**requests)
    if hasattr(mlp, "coefs_"):
        _learn_from_theirs(estimator, mlp)
    return estimator


def _changed_parameters(mlp: Any, changes: dict[str, Any]) -> dict[str, Any]:
    return _our_parameters(clone(mlp).set_params(**changes))


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
        "n_jobs": None,
        "init": "glorot_uniform",
        "optimizer": _our_optimizer(mlp),
        "l2": mlp.alpha,
        "dropout": 0.0,
        "batch_size": AUTO_BATCH_SIZE if mlp.batch_size == "auto" else mlp.batch_size,
        "learning_rate": mlp.learning_rate_init,
        "lr_schedule": _our_schedule(mlp),
        "loss": loss,
        "max_iter": mlp.max_iter,
        "random_state": mlp.random_state,
        "early_stopping": mlp.early_stopping,
        # It may be 0, as long as it is not used.
        "validation_fraction": mlp.validation_fraction or (0.0 if splits else 0.1),
        "dtype": _our_dtype(mlp.coefs_) if fitted else "auto",
        **{name: getattr(mlp, name) for name in SAME},
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


def _learn_from_theirs(estimator: Any, mlp: Any) -> None:
    """Fit our estimator to predict, and to go on training, as scikit-learn's does."""
    stochastic = not is_full_batch(estimator.optimizer)
    build_state(estimator, mlp, **({} if stochastic else {"optimizer": "sgd"}))
    network, learner = estimator.network_, estimator._fitted.learners[0]
    write(network, network.parameters, [*mlp.coefs_, *mlp.intercepts_])

    losses = getattr(mlp, "loss_curve_", [nan] * (mlp.n_iter_ - 1) + [getattr(mlp, "loss_", nan)])
    scores = getattr(mlp, "validation_scores_", None)
    # An interrupted epoch has a loss but no score.
    known = [*map(float, scores or []), *[nan] * len(losses)]
    unknown = dict.fromkeys(HISTORY, nan)
    rows = [
        {**unknown, "epoch": epoch, "loss": float(loss), "validation_score": score}
        for epoch, (loss, score) in enumerate(zip(losses, known, strict=False), start=1)
    ]
    clock = Clock(epoch=len(losses), samples=mlp.t_)
    before = len(rows) - mlp.n_iter_
    fitted = estimator._fitted
    watches = "loss" if scores is None else "validation_score"
    fitted.progress = Progress(clock, rows, before, watches=watches)

    state = learner.state = learner.optimizer.init(network.parameters.vector)
    theirs: Any = getattr(mlp, "_optimizer", None)
    names = MOMENTS.get(type(estimator.optimizer), ())
    if not all(hasattr(theirs, name) for name in names):
        return  # the solver was changed since
    # Plain SGD has no moments here and useless ones there.
    ratios = moment_ratios(estimator.optimizer, mlp)
    for moment, name, ratio in zip(state.moments, names, ratios, strict=False):
        laid_out = network.parameters.like()
        write(network, laid_out, getattr(theirs, name))
        np.multiply(laid_out.vector, 1 / ratio, out=moment)
    state.t = getattr(theirs, "t", 0)
    if isinstance(estimator.lr_schedule, Adaptive):
        lowered = estimator.learning_rate / theirs.learning_rate
        clock.plateaus = round(math.log(lowered, ADAPTIVE.factor))
