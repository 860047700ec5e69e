"""Blocks: the flat vectors, a piece at a time.

The end of a training step passes over the parameters, their gradient and the optimizer's moments
more than ten times. Where these are too large for the processor's cache, it goes through them block
by block, so that all passes but the first find their block there.
"""

from collections.abc import Iterator

import numpy as np

BLOCK = 2**16
"""Numbers in a block: five arrays of them are about a megabyte in float32."""


def blocks(*vectors: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Cut vectors of the shape (..., P) into views of up to `BLOCK` numbers, side by side."""
    size = vectors[0].shape[-1]
    if size <= BLOCK:
        yield vectors
        return
    for start in range(0, size, BLOCK):
        yield tuple(vector[..., start : start + BLOCK] for vector in vectors)
