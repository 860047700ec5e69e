"""What corresponds to what in scikit-learn's MLP and in ours.

Both ways of conversion have two halves. The hyperparameters are translated. If there is something
learned, the new estimator makes an epoch on rows of zeros, by which it builds all the state that it
keeps between calls, whatever that is; then the other's numbers are written into that state.
"""

from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import is_classifier
from sklearn.neural_network import MLPClassifier, MLPRegressor

from ..nn.network import Network
from ..nn.optimizers import SGD, Adam, Optimizer
from ..nn.parameters import Parameters
from ..nn.schedules import Adaptive

MLPS = (MLPClassifier, MLPRegressor)
HAS_LOSS = "loss" in MLPRegressor().get_params()
"""scikit-learn 1.6 has one regression loss, and no parameter for it."""

# What scikit-learn has built in. Ours spell it out, so that no default of ours matters.
SHARED_ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
AUTO_BATCH_SIZE = 200
LBFGS_MEMORY = 10
ADAPTIVE = Adaptive(factor=5.0, minimum=1e-6)

# For the optimizers that both have: scikit-learn's names of the running averages.
MOMENTS: dict[type[Optimizer], tuple[str, ...]] = {SGD: ("velocities",), Adam: ("ms", "vs")}

# scikit-learn's regression losses by their inverse link; it has no others.
LOSS_OF_LINK = {"identity": "squared_error", "exp": "poisson"}

# Parameters of the same name, meaning and values.
SAME = ("n_iter_no_change", "shuffle", "tol", "verbose", "warm_start")

# Parameters that scikit-learn's MLP has no counterpart of, with the values that go without one.
WITHOUT = {
    "n_networks": 1,
    "cv": None,
    "feature_scaling": None,
    "numerical_embedding": None,
    "normalization": None,
    "clip_norm": None,
    "label_smoothing": 0.0,
    "class_weight": None,
    "scoring": None,
    "calibrate": False,
    "standardize_target": False,
}


def build_state(new: Any, fitted: Any, **meanwhile: Any) -> None:
    """Let an estimator build the state for a fitted one's data, by an epoch on rows of zeros.

    One of the two is ours and the other scikit-learn's; ``meanwhile`` has parameters for this epoch
    only.
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


def moment_ratios(optimizer: Optimizer, mlp: Any) -> tuple[float, ...]:
    """Return the numbers by which scikit-learn's running averages are larger than ours."""
    if not isinstance(optimizer, Adam):
        return (1.0,)
    # It adds up the outputs' squared errors where we take their mean; our Adam keeps sums.
    longer = 1.0 if is_classifier(mlp) else float(mlp.n_outputs_)
    return (1 - optimizer.beta1) * longer, (1 - optimizer.beta2) * longer**2


def read(network: Network, parameters: Parameters) -> list[np.ndarray]:
    """Return views of the weights, then of the biases, in scikit-learn's order and shapes."""
    pairs = [views for views in network.per_layer(parameters) if views]
    return [views[0] for views in pairs] + [views[1][0] for views in pairs]


def write(network: Network, parameters: Parameters, arrays: list[np.ndarray]) -> None:
    """Copy weights and biases, in that order, to where they belong."""
    for view, array in zip(read(network, parameters), arrays, strict=True):
        view[...] = array
