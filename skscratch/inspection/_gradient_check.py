"""The gradient check: back-propagation against finite differences."""

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state

from .._base import BaseScratchMLP
from ..nn.batches import Batch
from ..nn.options import POSITIVE, check_integer, check_real
from ..nn.step import Learner, loss_and_gradient
from ._passes import (
    Passes,
    clone_for_all_rows,
    named_parameters,
)
from ._report import data_frame, html_table, page, text_table
from ._subject import last_step, look_at

MOST_ROWS = 50
"""Rows that the loss is computed on. With more of them more kinks of ReLU are in the way."""

# Larger than the steps that matter there, smaller than what changes a network.
_JITTER = 1e-3
STEPS = (1e-4, 1e-5, 1e-6, 1e-7)
_ROUNDING = 16 * float(np.finfo(np.float64).eps)
_COLUMNS = (
    "parameters",
    "shape",
    "largest gradient",
    "error by coordinates",
    "error by direction",
)


@dataclass(frozen=True, repr=False)
class GradientCheck:
    """What `gradient_check` found; it prints as a table.

    Attributes
    ----------
    rows : list of tuple
        For each array of parameters, and at last for all of them together: its name, such as
        ``"dense 1: W"``; its shape; the largest absolute value of its gradient; the largest
        relative error of a derivative by a single parameter (None in the last row); the relative
        error of the derivative along a random direction, in which all its parameters move at once.
    loss : float
        The loss whose derivatives were compared, penalty included.
    tolerance : float
        The largest error that passes.
    """

    rows: list[tuple[str, str, float, float | None, float]]
    loss: float
    tolerance: float

    @property
    def largest_error(self) -> float:
        """The largest relative error."""
        return max(error for row in self.rows for error in row[3:] if error is not None)

    @property
    def passed(self) -> bool:
        """Whether no error is above the tolerance."""
        return self.largest_error <= self.tolerance

    def to_frame(self) -> Any:
        """Return the rows as a `pandas.DataFrame`."""
        return data_frame(_COLUMNS, self.rows)

    def _verdict(self) -> str:
        return (
            f"Gradient check {'passed' if self.passed else 'FAILED'}: the largest relative error "
            f"is {self.largest_error:.1e}, and {self.tolerance:.1e} is tolerated"
        )

    def __repr__(self) -> str:
        return f"{self._verdict()}\n\n{text_table(_COLUMNS, self.rows)}"

    def _repr_html_(self) -> str:
        return page(self._verdict(), html_table(_COLUMNS, self.rows))


def gradient_check(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    sample_weight: Any = None,
    loss: Any = None,
    n_coordinates: int = 10,
    tolerance: float = 1e-5,
    random_state: Any = 0,
    member: int = 0,
) -> GradientCheck:
    r"""Compare the gradient of back-propagation with finite differences of the loss.

    For parameters w, the loss L and a direction u the central difference

    .. math:: \frac{L(w + h u) - L(w - h u)}{2 h} = u^T \nabla L(w) + O(h^2)

    needs nothing but forward passes. It is compared with the gradient g that training goes by, in
    float64, along single coordinates of each array of parameters, and along a random direction
    within each array and through all of them. It serves those who write an activation, a layer or a
    loss of their own, and those who want to see that it holds for the ones here.

    The estimator is left as it is. Dropout is off, and the penalty ``l2`` is part of the loss.

    Parameters
    ----------
    estimator : ScratchMLPClassifier, ScratchMLPRegressor, Pipeline, nn.Network or nn.Learner
        The estimator, or a pipeline that ends in one. If it is not fitted, a clone of a single
        network is trained for an epoch first, at a learning rate of 0.001. Of ``skscratch.nn`` a
        Learner, or a Network and its loss.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The inputs. Of more than 50 rows as many are taken, evenly spaced.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        The targets; of a Network or a Learner a column for each output, as the loss takes them.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows, >= 0; None means 1 everywhere.
    loss : nn.Loss, default=None
        The loss of a Network; all others have their own.
    n_coordinates : int, default=10
        How many parameters of each array to move one by one, >= 1; the half of them with the
        largest gradients, the others at random.
    tolerance : float, default=1e-5
        The largest relative error that passes, > 0.
    random_state : int, RandomState instance or None, default=0
        Source of the random coordinates and directions.
    member : int, default=0
        The number of the network, if there are several. They differ by chance alone, so the first
        is as typical as any.

    Returns
    -------
    check : GradientCheck
        The errors, with ``passed`` and `GradientCheck.to_frame`.

    Raises
    ------
    ValueError, TypeError
        If an argument is not what it may be, or if there is no such network.

    Notes
    -----
    The relative error of a difference d is :math:`|u^T g - d| / (\max(|u^T g|, |d|) + r / t)`,
    where r bounds what rounding does to d and t is the tolerance, so that a deviation that rounding
    explains passes. Derivatives that rounding hides altogether (``largest gradient`` shows them)
    pass for the same reason.

    No step h suits every derivative: the error of the formula grows with it, that of rounding
    shrinks, and a step across a kink of ReLU or of the absolute error spoils the difference.
    Each difference is therefore taken with four steps, from 1e-4 to 1e-7, in relation to the
    parameters' size if that is above 1, and the best of them counts. A wrong gradient agrees with
    none. As bias and input of a ReLU that are 0 are a kink themselves, the parameters are at first
    moved at random, by 0.001 (standard deviation).

    References
    ----------
    Bengio (2012), "Practical recommendations for gradient-based training of deep architectures",
    arXiv:1206.5533, section 4.1.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skscratch import ScratchMLPClassifier
    >>> from skscratch.inspection import gradient_check
    >>> X, y = load_iris(return_X_y=True)
    >>> check = gradient_check(ScratchMLPClassifier((16, 8), random_state=0), X, y)
    >>> check.passed
    True
    >>> check.largest_error < 1e-6
    True

    A network as the course makes it, with random weights:

    >>> import numpy as np
    >>> from skscratch.nn import Architecture, Network, SoftmaxLogLoss, Tanh
    >>> network = Network(Architecture([4, 8, 3], [Tanh()]))
    >>> network.parameters.vector[:] = np.random.default_rng(0).normal(size=67)
    >>> gradient_check(network, X, np.eye(3)[y], loss=SoftmaxLogLoss()).passed
    True
    """
    n_coordinates = check_integer("n_coordinates", n_coordinates, 1)
    tolerance = check_real("tolerance", tolerance, POSITIVE)
    rng = check_random_state(random_state)
    if isinstance(estimator, Pipeline):
        estimator, X, _ = last_step(estimator, X, y)
    if isinstance(estimator, BaseScratchMLP) and not estimator.__sklearn_is_fitted__():
        estimator = _barely_trained(estimator, X, y, sample_weight)
    subject = look_at(estimator, X, loss=loss, member=member)
    passes = subject.passes(y, sample_weight, MOST_ROWS)
    vector = passes.network.parameters.vector
    vector += _JITTER * rng.standard_normal(len(vector))
    objective = _Objective(subject.learner, passes)
    gradient, arrays = objective.gradient, _arrays(passes)
    everything = np.concatenate([positions for _, _, positions in arrays])
    rows = []
    for name, shape, positions in [*arrays, ("all", f"({len(everything)},)", everything)]:
        sizes = np.abs(gradient[positions])
        n_moved = 0 if name == "all" else n_coordinates
        chosen = _coordinates(positions, sizes, n_moved, rng)
        errors = [objective.error(np.array([i]), np.ones(1), tolerance) for i in chosen]
        direction = rng.standard_normal(len(positions))
        direction /= np.linalg.norm(direction)
        along = objective.error(positions, direction, tolerance)
        rows.append((name, shape, float(sizes.max()), max(errors, default=None), along))
    return GradientCheck(rows, objective.value(), tolerance)


class _Objective:
    """The loss of some rows, penalty included, as a function of the network's parameters."""

    def __init__(self, learner: Learner, passes: Passes):
        # Dropout is left out, and so is clipping, which is no part of the loss.
        self._learner = replace(learner, network=passes.network, streams=(), diverged={})
        self._batch = Batch(passes.inputs, passes.targets, passes.weights)
        self._workspace = self._learner.workspace(self._batch.n_rows)
        self._vector = passes.network.parameters.vector
        self._start = self._vector.copy()
        self._loss = self.value()
        self.gradient: np.ndarray = self._workspace.gradient.vector.copy()

    def value(self) -> float:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            return float(loss_and_gradient(self._learner, self._batch, self._workspace))

    def error(self, positions: np.ndarray, direction: np.ndarray, tolerance: float) -> float:
        """Return the relative error of the derivative along a direction among some parameters."""
        exact = float(self.gradient[positions] @ direction)
        size = max(1.0, float(np.abs(self._start[positions]).max()))
        errors = []
        for step in STEPS:
            h = step * size
            ahead, behind = (self._moved(positions, sign * h * direction) for sign in (1, -1))
            difference = (ahead - behind) / (2 * h)
            rounding = _ROUNDING * abs(self._loss) / h
            scale = max(abs(exact), abs(difference)) + rounding / tolerance
            errors.append(abs(exact - difference) / scale if scale > 0 else 0.0)
        return float(np.min(errors))

    def _moved(self, positions: np.ndarray, change: np.ndarray) -> float:
        self._vector[positions] += change
        value = self.value()
        self._vector[positions] = self._start[positions]
        return value


def _arrays(passes: Passes) -> list[tuple[str, str, np.ndarray]]:
    """Return the name and the shape of each array of parameters, and where in the vector it is."""
    places = passes.network.parameters.like()
    places.vector[...] = np.arange(len(places.vector))
    return [
        (f"{layer}: {parameter}", str(view.shape), view.ravel().astype(int))
        for layer, views in zip(passes.names, named_parameters(passes.network, places), strict=True)
        for parameter, view in views.items()
    ]


def _coordinates(
    positions: np.ndarray, sizes: np.ndarray, n: int, rng: np.random.RandomState
) -> np.ndarray:
    """Choose parameters: half of them those with the largest gradients, the others at random."""
    order = np.argsort(-sizes)
    n_largest = min(len(order), (n + 1) // 2)
    n_others = min(len(order), n) - n_largest
    others = rng.choice(order[n_largest:], n_others, replace=False) if n_others else order[:0]
    return positions[np.concatenate([order[:n_largest], others])]


def _barely_trained(estimator: Any, X: Any, y: Any, sample_weight: Any) -> Any:
    """Train a clone for an epoch: no gradient passes an output layer whose weights are still 0."""
    trained = clone_for_all_rows(estimator)
    trained.set_params(max_iter=1, learning_rate=1e-3, lr_schedule="constant")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return trained.fit(X, y, sample_weight)
