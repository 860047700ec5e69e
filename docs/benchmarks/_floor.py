"""The floor: nothing but the matrix products of forward and backward passes."""

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

Product = tuple[np.ndarray, np.ndarray, np.ndarray]


def seconds_per_step(shape: Any, dtype: str, epochs: int) -> float:
    """Return the time of a step's products, by `numpy.dot` or `numpy.matmul`, what is faster.

    The operands are always the same and stay in the cache as far as they can; real training has
    to fetch each batch. Batches are those of training, the last one being shorter.
    """
    return min(time_products(function, shape, dtype, epochs) for function in (np.dot, np.matmul))


def time_products(
    function: Callable,
    shape: Any,
    dtype: str,
    epochs: int,
    convert: Callable[[np.ndarray], Any] = lambda array: array,
    transposed: bool = False,
) -> float:
    """Return the time of a step's products by ``function``, on arrays that ``convert`` made.

    ``transposed`` has weights of shape (n_out, n_in), as PyTorch stores them.
    """
    n_full, rest = divmod(shape.n_samples, shape.batch_size)
    full, last = (
        [tuple(map(convert, product)) for product in _products(shape, n_rows, dtype, transposed)]
        if n_rows
        else []
        for n_rows in (shape.batch_size, rest)
    )
    for left, right, out in full + last:  # BLAS makes room for itself in its first calls
        function(left, right, out=out)
    started = time.perf_counter()
    for _ in range(epochs):
        for _ in range(n_full):
            for left, right, out in full:
                function(left, right, out=out)
        for left, right, out in last:
            function(left, right, out=out)
    return (time.perf_counter() - started) / (epochs * shape.n_steps)


def _products(shape: Any, n_rows: int, dtype: str, transposed: bool) -> list[Product]:
    """Return the operands and results of one step's products, in their order."""
    rng = np.random.default_rng(0)

    def room(*size: int) -> np.ndarray:
        return rng.standard_normal(size).astype(dtype)

    sizes = shape.sizes
    A = [room(n_rows, size) for size in sizes]
    dZ = [room(n_rows, size) for size in sizes]
    stored = [room(*(pair[::-1] if transposed else pair)) for pair in pairwise(sizes)]
    W = [weights.T if transposed else weights for weights in stored]
    dW = [np.empty_like(weights) for weights in stored]
    forward = [(A[i], W[i], A[i + 1]) for i in range(len(W))]
    backward: list[Product] = []
    for i in reversed(range(len(W))):
        factors = (dZ[i + 1].T, A[i]) if transposed else (A[i].T, dZ[i + 1])
        backward += [(*factors, dW[i])]
        if i:  # nobody needs the gradient of the inputs
            backward += [(dZ[i + 1], W[i].T, dZ[i])]
    return forward + backward
