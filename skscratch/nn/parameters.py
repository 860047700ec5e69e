"""Parameters: one flat vector, and named views into it.

All trainable numbers of a network lie in one contiguous array of shape ``(..., P)``. The weights
that the L2 penalty applies to come first, then everything else, so that the penalty is one
slice. Optimizers, snapshots and L-BFGS work on the vector; layers work on the views::

    vector   [ W1 ......... | W2 ... | b1 .. | b2 . ]
               penalized               the rest

The vector is never rebound, only copied into: a new array would leave the views behind. Views
do not survive pickle or deepcopy either, so only the vector and the shapes are stored, and the
views are made anew.
"""

from collections.abc import Sequence
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
    """

    rows: int
    columns: int
    penalized: bool


class Parameters:
    """A flat vector and a view into it for each shape.

    Parameters
    ----------
    shapes : sequence of Shape
        One for each array, in the order of ``views``.
    vector : ndarray of shape (..., P)
        All the numbers, of one network or, with leading axes, of several side by side.

    Attributes
    ----------
    penalized : ndarray of shape (..., n_penalized)
        View of the part that the L2 penalty applies to.
    views : list of ndarray of shape (..., rows, columns)
        A view for each shape.
    """

    def __init__(self, shapes: Sequence[Shape], vector: np.ndarray):
        self.shapes, self.vector = shapes, vector
        self._make_views()

    @classmethod
    def zeros(
        cls, shapes: Sequence[Shape], stack: tuple[int, ...], dtype: np.dtype
    ) -> "Parameters":
        """Make parameters that are 0, for one network (stack ``()``) or for several."""
        size = sum(shape.rows * shape.columns for shape in shapes)
        return cls(shapes, np.zeros((*stack, size), dtype))

    def _make_views(self) -> None:
        penalized_first = sorted(
            range(len(self.shapes)), key=lambda i: not self.shapes[i].penalized
        )
        stack = self.vector.shape[:-1]
        self.views: list[np.ndarray] = [self.vector] * len(self.shapes)
        start = n_penalized = 0
        for i in penalized_first:
            rows, columns, penalized = self.shapes[i]
            stop = start + rows * columns
            self.views[i] = self.vector[..., start:stop].reshape(*stack, rows, columns)
            start = stop
            if penalized:
                n_penalized = stop
        self.penalized = self.vector[..., :n_penalized]

    def like(self) -> "Parameters":
        """Make others of the same shapes, zero: the gradient mirrors the parameters."""
        return Parameters(self.shapes, np.zeros_like(self.vector))

    def member(self, index: tuple[int, ...]) -> "Parameters":
        """Return one network's parameters, as a view of these."""
        return Parameters(self.shapes, self.vector[index])

    def __getstate__(self) -> dict[str, Any]:
        return {"shapes": self.shapes, "vector": self.vector}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        # joblib can hand over a memory map. An array of its memory is the same, but faster.
        self.vector = np.asarray(self.vector)
        self._make_views()
