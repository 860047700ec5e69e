"""Features: what is learned of X, and what the network gets to see of it from then on."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np
from scipy.sparse import issparse

from ..nn.embeddings import Embedding
from ..nn.rows import DenseRows, SparseRows, cast
from .inputs import is_memory_mapped
from .scaling import RobustSmoothClip, find_bins


@dataclass(frozen=True, eq=False)
class Features:
    """What X is to the network. It never changes: what learns more returns another one.

    Attributes
    ----------
    scaler : RobustSmoothClip or None
        Center and scale of each column; None if X is passed on as it is.
    """

    scaler: RobustSmoothClip | None

    @classmethod
    def learn(cls, X: Any, sample_weight: np.ndarray | None, scaling: str | None) -> Self:
        """Learn from all rows at once."""
        return cls(None if scaling is None else RobustSmoothClip().fit(X, sample_weight))

    def go_on(self, X: Any, sample_weight: np.ndarray | None) -> Self:
        """Return the features of a further call, which may have seen more of a column."""
        if self.scaler is None:
            return self
        return replace(self, scaler=self.scaler.update(X, sample_weight))

    def with_bins(
        self, X: Any, sample_weight: np.ndarray | None, embedding: Embedding
    ) -> tuple[Self, list[np.ndarray]]:
        """Find the edges of each column's bins; the columns that have some keep their scale."""
        scaler = self.scaler
        prepare = None if scaler is None else scaler.transform
        edges = find_bins(X, sample_weight, embedding.n_bins, prepare)
        if scaler is None:
            return self, edges
        embedded = [j for j, found in enumerate(edges) if len(found)]
        return replace(self, scaler=scaler.settled(embedded)), edges

    def rows(self, X: Any, dtype: np.dtype, at_once: bool = False) -> DenseRows | SparseRows:
        """Return the network's inputs.

        Parameters
        ----------
        X : {ndarray, sparse matrix} of shape (n_samples, n_features)
            Finite numbers.
        dtype : numpy.dtype
            The network's.
        at_once : bool, default=False
            Whether to scale and convert all rows now, for many epochs, and not as they are taken.
            A memory map is left as it is all the same.
        """
        scaler, is_sparse = self.scaler, issparse(X)
        convert: Any = None if scaler is None else partial(scaler.transform, dtype=dtype)
        if at_once and not is_memory_mapped(X):
            X = cast(X, dtype) if convert is None else convert(X)
            X, convert = X if is_sparse else np.ascontiguousarray(X), None
        if is_sparse:
            shift = None if scaler is None else scaler.shift_
            return SparseRows(X.tocsr(), dtype, shift, convert)
        return DenseRows(X, dtype, convert)

    def without_rows(self) -> Self:
        """Return a copy that holds no rows of the training data, for a file."""
        return self if self.scaler is None else replace(self, scaler=self.scaler.without_rows())
