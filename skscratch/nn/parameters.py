"""Parameters: one flat vector, and named views into it.

All trainable numbers of a network lie in one contiguous array of shape ``(..., P)``. The weights
that the L2 penalty applies to come first, then everything else, so that the penalty is one
slice. Optimizers, snapshots and L-BFGS work on the vector; layers work on the views::

    vector   [ W1 ......... | W2 ... | b1 .. | b2 . ]
               penalized               the rest

The vector is never rebound, only copied into: a new array would leave the views behind. Views
do not survive pickle or deepcopy either, so that only the vector and the shapes are stored, and
the views are made anew.
"""

import math
from typing import Any, NamedTuple

import numpy as np


class Shape(NamedTuple):
    """What a layer asks for: one trainable array.

    Attributes
    ----------
    rows, columns : int
        The array's last two axes.
    penalized : bool
        Whether the L2 penalty applies.
    rate : float
        Factor of the learning rate.
    """

    rows: int
    columns: int
    penalized: bool
    rate: float = 1.0


class Parameters:
    """A flat vector and a view into it for each shape.

    Parameters
    ----------
    shapes : list of Shape
        One for each array, in the order of ``views``.
    stack : tuple of int
        The leading axes: ``()`` for one network, ``(K,)`` for K of them side by side.
    dtype : numpy.dtype
        float32 or float64.

    Attributes
    ----------
    vector : ndarray of shape (..., P)
        All the numbers, zero at first.
    penalized : ndarray of shape (..., n_penalized)
        View of the part that the L2 penalty applies to.
    views : list of ndarray of shape (..., rows, columns)
        A view for each shape.
    """

    def __init__(self, shapes: list[Shape], stack: tuple[int, ...], dtype: np.dtype):
        self.shapes = shapes
        size = sum(math.prod(shape[:2]) for shape in shapes)
        self.vector = np.zeros((*stack, size), dtype)
        self._make_views()

    def _make_views(self) -> None:
        penalized_first = sorted(
            range(len(self.shapes)), key=lambda i: not self.shapes[i].penalized
        )
        stack = self.vector.shape[:-1]
        self.views: list[np.ndarray] = [self.vector] * len(self.shapes)
        start = n_penalized = 0
        for i in penalized_first:
            rows, columns, penalized, _ = self.shapes[i]
            stop = start + rows * columns
            self.views[i] = self.vector[..., start:stop].reshape(*stack, rows, columns)
            start = stop
            if penalized:
                n_penalized = stop
        self.penalized = self.vector[..., :n_penalized]

    def rates(self) -> np.ndarray | None:
        """Return each parameter's factor of the learning rate, of shape (P,); None if all are 1."""
        if all(shape.rate == 1 for shape in self.shapes):
            return None
        factors = Parameters(self.shapes, (), self.vector.dtype)
        for shape, view in zip(self.shapes, factors.views, strict=True):
            view[...] = shape.rate
        return factors.vector

    def like(self) -> "Parameters":
        """Make another of the same shapes, zero: the gradient mirrors the parameters."""
        return Parameters(self.shapes, self.vector.shape[:-1], self.vector.dtype)

    def __getstate__(self) -> dict[str, Any]:
        return {"shapes": self.shapes, "vector": self.vector}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        # joblib can hand over a memory map. An array of its memory is the same, but faster.
        self.vector = np.asarray(self.vector)
        self._make_views()
