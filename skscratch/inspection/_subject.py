"""What the tools look at: one network, be it an estimator's, a pipeline's, or one of `nn`."""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_array

from .._base import BaseScratchMLP
from .._fitting.inputs import check_sample_weight
from ..nn.losses import Loss
from ..nn.network import Network
from ..nn.optimizers import SGD
from ..nn.rows import SparseBlock
from ..nn.step import Learner
from ._passes import (
    Passes,
    check_estimator_is_ours,
    check_member,
    copy_without_dropout,
    name_member,
    one_network,
    pass_through,
    run_passes,
    some_rows,
)


@dataclass
class Subject:
    """One network, and what is known of how it learns.

    Attributes
    ----------
    name : str
        The class of what it belongs to.
    note : str
        Which network it is, for a title; empty if it is the only one.
    n_networks : int
        How many there are.
    network : Network
        The network itself, not a copy.
    learner : Learner or None
        The network and how it learns; None if no loss is known.
    rate : float or None
        The learning rate of its next step; None if nothing trains it.
    X : array-like, sparse matrix or None
        The rows: after a pipeline's first steps, before the estimator's own scaling.
    estimator : BaseScratchMLP or None
        A copy of the estimator with this network alone; None of objects of `nn`.
    feature_names : sequence of str or None
        Names of the columns of X.
    """

    name: str
    note: str
    n_networks: int
    network: Network
    # Any, since whoever passes targets may rely on it.
    learner: Any
    rate: float | None
    X: Any
    estimator: Any = None
    feature_names: Any = None

    @property
    def title(self) -> str:
        """The class and the sizes of the layers."""
        return f"{self.name}: {' → '.join(map(str, self.network.sizes))}"

    @property
    def link(self) -> str | None:
        """The name of the function that turns logits into predictions, if the loss is known."""
        return None if self.learner is None else self.learner.loss.out_activation

    def passes(
        self, y: Any = None, sample_weight: Any = None, most_rows: int | None = None
    ) -> Passes:
        """Pass the rows through a copy of the network, and back if there is a y.

        Arguments as those of `run_passes`.
        """
        if self.estimator is not None:
            return run_passes(self.estimator, self.X, y, sample_weight, most_rows)
        loss, weights = None, None
        if y is not None:
            if self.learner is None:
                raise TypeError(
                    "A Network has no loss to compare y by: pass loss, such as loss=SquaredError() "
                    "of skscratch.nn, or the Learner that trains the network."
                )
            loss, y = self.learner.loss, self._check_targets(y)
            if sample_weight is not None:
                weights = check_sample_weight(sample_weight, self.X)
        X, y, weights = some_rows(most_rows, self.X, y, weights)
        weights = None if weights is None else weights[:, np.newaxis] / weights.mean()
        inputs = SparseBlock(X) if issparse(X) else X
        return pass_through(copy_without_dropout(self.network), loss, inputs, y, weights)

    def _check_targets(self, y: Any) -> np.ndarray:
        y = check_array(y, dtype=np.float64, ensure_2d=False, allow_nd=True, input_name="y")
        shape = self.X.shape[0], self.network.sizes[-1]
        if y.shape != shape:
            raise ValueError(
                f"y must have the shape {shape}, a column for each output of the network, classes "
                f"one-hot, got the shape {y.shape}."
            )
        return y


def look_at(model: Any, X: Any = None, *, loss: Any = None, member: Any = 0) -> Subject:
    """Find the network that a tool shall look at.

    Parameters
    ----------
    model : estimator of ours, Pipeline, Network or Learner
        A fitted estimator, a fitted pipeline that ends in one, or an object of `nn`.
    X : {array-like, sparse matrix} of shape (n_samples, n_features), optional
        Rows, as the model takes them.
    loss : Loss, optional
        The loss of a Network; all others have one.
    member : int, default=0
        The number of the network, if there are several.

    Raises
    ------
    TypeError, ValueError
        If the model is none of these, if there is no such network, if the loss is no loss or one
        too many, or if a Network does not take X.
    sklearn.exceptions.NotFittedError
        If an estimator is not fitted.
    """
    kind = type(model).__name__
    if not isinstance(model, BaseScratchMLP | Pipeline | Network | Learner):
        raise TypeError(
            "estimator must be a ScratchMLPClassifier or a ScratchMLPRegressor, a pipeline that "
            f"ends in one, or a Network or a Learner of skscratch.nn, got one of type {kind}."
        )
    if loss is not None and not (isinstance(model, Network) and isinstance(loss, Loss)):
        raise TypeError(
            f"loss goes with a Network alone; a {kind} has its own."
            if isinstance(loss, Loss)
            else f"loss must be a Loss of skscratch.nn, such as SquaredError(), got {loss!r}."
        )
    if isinstance(model, Network | Learner):
        return _of_nn(model, X, loss, member)
    names = None
    if isinstance(model, Pipeline):
        check_estimator_is_ours(model[-1])
        names = _names_out(model[:-1]) if len(model) > 1 else None
        model, X, _ = last_step(model, X)
    estimator = one_network(model, member)
    learner = estimator._fitted.learners[0]
    rows = estimator._fitted.progress.rows
    return Subject(
        type(model).__name__,
        name_member(model.network_, member),
        prod(model.network_.stack),
        estimator.network_,
        learner,
        rows[-1]["learning_rate"] if rows else learner.learning_rate,
        X,
        estimator,
        getattr(model, "feature_names_in_", names),
    )


def last_step(pipeline: Pipeline, X: Any, y: Any = None, X_val: Any = None) -> tuple[Any, Any, Any]:
    """Return a pipeline's last step, and X and X_val as the steps before it make them.

    Of a pipeline that is not fitted, clones of these steps are fitted.
    """
    last = pipeline[-1]
    if not isinstance(last, BaseScratchMLP):
        check_estimator_is_ours(last)
    if len(pipeline) > 1 and X is not None:
        before = pipeline[:-1]
        if last.__sklearn_is_fitted__():
            X = before.transform(X)
        else:
            before = clone(before)
            X = before.fit_transform(X, y)
        X_val = None if X_val is None else before.transform(X_val)
    return last, X, X_val


def _names_out(steps: Pipeline) -> Any:
    try:
        return steps.get_feature_names_out()
    except (AttributeError, ValueError):  # not all steps know the names of what they make
        return None


def _of_nn(model: Network | Learner, X: Any, loss: Loss | None, member: Any) -> Subject:
    stacked = model.network if isinstance(model, Learner) else model
    number = check_member(stacked, member)
    index = tuple(int(i) for i in np.unravel_index(number, stacked.stack)) if stacked.stack else ()
    learner, rate = None, None
    if isinstance(model, Learner):
        learner = model.member(index)
        network, rate = learner.network, learner.learning_rate
    else:
        network = model.member(index)
        if loss is not None:
            learner = Learner(network, loss, SGD(), 0.0)
    if X is not None:
        formats = "csr" if network.architecture.embedding is None else False
        X = check_array(X, accept_sparse=formats, dtype=np.float64, input_name="X")
        if X.shape[1] != network.sizes[0]:
            raise ValueError(
                f"X must have {network.sizes[0]} columns, as the network has so many inputs, got "
                f"{X.shape[1]}."
            )
    note, n_networks = name_member(stacked, number), prod(stacked.stack)
    return Subject(type(model).__name__, note, n_networks, network, learner, rate, X)
