"""Parameters: one flat vector, and views into it.

All parameters of a network lie in one contiguous array of shape ``(..., P)``. Weights with an L2
penalty come first, so the penalty needs one slice. Optimizers, snapshots and L-BFGS work on the
vector; layers work on the views::

    vector   [ W1 ......... | W2 ... | b1 .. | b2 . ]
               penalized               the rest

Copy into the vector, never replace it: the views would still point into the old array. Pickle and
deepcopy would break the views too, so they store the vector and shapes, and loading makes new
views.

Explained in the course: neuron.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class Shape(NamedTuple):
    """The shape of one array that a layer asks for.

    Attributes
    ----------
    rows, columns : int
        Lengths of the array's last two axes.
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
        All numbers of a network, or of each network of a stack.

    Attributes
    ----------
    penalized : ndarray of shape (..., n_penalized)
        View of the part with an L2 penalty.
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
        """Make parameters that are 0, for a network (stack ``()``) or for several."""
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
        """Make zeros of the same layout, such as a gradient."""
        return Parameters(self.shapes, np.zeros_like(self.vector))

    def member(self, index: tuple[int, ...]) -> "Parameters":
        """Return one network's parameters, as a view of these."""
        return Parameters(self.shapes, self.vector[index])

    def __getstate__(self) -> dict[str, Any]:
        return {"shapes": self.shapes, "vector": self.vector}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        # joblib may load a memory map. A plain array of the same memory is faster.
        self.vector = np.asarray(self.vector)
        self._make_views()
