"""What the layers make of the data: all of their outputs, or one as a step of a pipeline."""

import copy
from typing import Any, Self

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    MetaEstimatorMixin,
    TransformerMixin,
    clone,
)
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from .._base import BaseScratchMLP
from ..nn.layers import Activate
from ..nn.network import Network
from ..nn.options import check_integer
from ._passes import check_estimator_is_ours, one_network
from ._subject import look_at


def activations(estimator: Any, X: Any, *, member: int = 0) -> dict[str, np.ndarray]:
    """Return every layer's output for given inputs.

    Dropout is off and batch normalization goes by its running averages, as in prediction. All is
    computed in float64, also for a network of float32.

    Parameters
    ----------
    estimator : ScratchMLPClassifier, ScratchMLPRegressor, Pipeline, or nn.Network
        A fitted estimator, a fitted pipeline that ends in one, or a network of ``skscratch.nn``.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        The inputs, as `predict` takes them.
    member : int, default=0
        The number of the network, if there are several. They differ by chance alone, so the first
        is as typical as any.

    Returns
    -------
    outputs : dict of str to ndarray of shape (n_samples, n_units)
        The outputs by the layers' names, from input to output: ``"dense 1"`` is the first affine
        map, ``"activation 1"`` what its activation makes of it, and so on. The last one holds the
        logits, before `predict_proba` divides them by ``temperature_`` and before a regressor puts
        them into the targets' units.

    Raises
    ------
    TypeError
        If the estimator is none of these.
    ValueError
        If there is no such network, or if a Network has another number of inputs than X.
    sklearn.exceptions.NotFittedError
        If it is not fitted.

    See Also
    --------
    HiddenLayerTransformer : A hidden layer as a step of a pipeline.
    trace : The same for a few rows with all equations, and the way back.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skscratch import ScratchMLPClassifier
    >>> from skscratch.inspection import activations
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = ScratchMLPClassifier((16, 8), random_state=0).fit(X, y)
    >>> for name, output in activations(clf, X).items():
    ...     print(name, output.shape)
    dense 1 (150, 16)
    activation 1 (150, 16)
    dense 2 (150, 8)
    activation 2 (150, 8)
    dense 3 (150, 3)
    """
    passes = look_at(estimator, X, member=member).passes()
    return dict(zip(passes.names, passes.outputs, strict=True))


class HiddenLayerTransformer(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, MetaEstimatorMixin, BaseEstimator
):
    """Turn inputs into what a hidden layer makes of them: learned features.

    A network's hidden layers bring the data into a form in which its last layer, a linear model,
    can tell them apart. That form may serve other models too: a nearest-neighbor search, a
    clustering, a plot.

    Parameters
    ----------
    estimator : ScratchMLPClassifier or ScratchMLPRegressor
        The network, of which `fit` trains a clone. To use one that is fitted already, wrap it in
        `sklearn.frozen.FrozenEstimator`; `fit` then leaves it as it is.
    layer : int, default=-1
        The hidden layer, counted from 0; negative numbers count from the last one, -1.
    member : int, default=0
        The number of the network, if there are several. They differ by chance alone, so the first
        is as typical as any.

    Attributes
    ----------
    estimator_ : ScratchMLPClassifier or ScratchMLPRegressor
        The fitted network.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of str of shape (``n_features_in_``,)
        Names of the features, where X has them.

    See Also
    --------
    activations : The outputs of all layers.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from skscratch import ScratchMLPClassifier
    >>> from skscratch.inspection import HiddenLayerTransformer
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = ScratchMLPClassifier((16, 8), random_state=0).fit(X, y)
    >>> hidden = HiddenLayerTransformer(FrozenEstimator(clf))
    >>> hidden.fit_transform(X, y).shape
    (150, 8)
    >>> model = make_pipeline(hidden, KNeighborsClassifier()).fit(X, y)
    >>> bool(model.score(X, y) > 0.95)
    True
    """

    estimator_: BaseScratchMLP

    def __init__(self, estimator, *, layer=-1, member=0):
        self.estimator = estimator
        self.layer = layer
        self.member = member

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Train a clone of the network, or take it as it is if it is frozen.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets. A frozen network needs none.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, >= 0; None means 1 everywhere.

        Returns
        -------
        self : HiddenLayerTransformer
            The fitted transformer.

        Raises
        ------
        TypeError
            If the estimator is none of ours.
        ValueError
            If there is no such layer, or no such network.
        sklearn.exceptions.NotFittedError
            If a frozen estimator is not fitted.
        """
        fitted = clone(self.estimator)
        if isinstance(fitted, FrozenEstimator):
            fitted = check_estimator_is_ours(fitted.estimator)
        elif isinstance(fitted, BaseScratchMLP):
            fitted.fit(X, y, sample_weight)
        else:
            check_estimator_is_ours(fitted)
        one_network(fitted, self.member)
        self._index, self._member = _hidden_layer(fitted.network_, self.layer), self.member
        self.estimator_ = fitted
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the hidden layer's output, as it is in prediction.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            The inputs.

        Returns
        -------
        A : ndarray of shape (n_samples, n_units)
            The units' activations, in float64.
        """
        check_is_fitted(self)
        estimator = self.estimator_
        X = estimator._validate_input(X)
        shortened = copy.copy(self._network)  # with the same parameters, not copies of them
        shortened.layers = shortened.layers[: self._index + 1]
        return shortened.predict(estimator._fitted.features.rows(X, shortened.dtype))

    @property
    def n_features_in_(self) -> int:
        """Number of features."""
        return self._fitted_attribute("n_features_in_")

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the features, where X has them."""
        return self._fitted_attribute("feature_names_in_")

    def _fitted_attribute(self, name: str) -> Any:
        if "estimator_" not in vars(self):
            raise AttributeError(f"{name} is there once the transformer is fitted.")
        return getattr(self.estimator_, name)

    @property
    def _network(self) -> Network:
        return self.estimator_._fitted.member(self._member).network

    @property
    def _n_features_out(self) -> int:
        layer: Any = self.estimator_.network_.layers[self._index]
        return layer.n_units

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.input_tags.sparse = inner.input_tags.sparse
        tags.target_tags = inner.target_tags
        return tags


def _hidden_layer(network: Network, number: Any) -> int:
    """Return the index, among all layers, of a hidden layer's activation."""
    n_hidden = len(network.sizes) - 2
    if n_hidden == 0:
        raise ValueError("The network has no hidden layer: hidden_layer_sizes is empty.")
    number = check_integer("layer", number, -n_hidden)
    if number >= n_hidden:
        raise ValueError(
            f"layer must be from {-n_hidden} to {n_hidden - 1}, as the network has {n_hidden} "
            f"hidden layers, got {number}."
        )
    indices = [i for i, layer in enumerate(network.layers) if isinstance(layer, Activate)]
    return indices[number]
