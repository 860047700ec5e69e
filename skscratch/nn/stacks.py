"""Stacks: independent networks side by side, with one number for each or one for all.

A stack has axes before the usual ones: parameters are ``(..., P)``, outputs ``(..., batch,
n_out)``. A hyperparameter is a float, or an array of shape ``(..., 1)`` that broadcasts over the
parameters. A result for each network, such as a loss, has the shape ``(...)``. A single network
is the stack ``()``, and its results are scalars.

Explained in the course: committee.
"""

from typing import Any

import numpy as np

Number = Any
"""A float, or an ndarray of shape (..., 1)."""


def per_network(number: Number) -> Any:
    """Drop the last axis of an array of shape (..., 1); return a float unchanged."""
    return number[..., 0] if isinstance(number, np.ndarray) else number


def in_dtype(number: Number, dtype: np.dtype) -> Number:
    """Cast an array to the network's dtype: float64 would turn float32 loops into double ones."""
    return number.astype(dtype) if isinstance(number, np.ndarray) else number
