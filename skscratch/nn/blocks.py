"""Blocks: the flat vectors, a piece at a time.

The end of a training step passes over the parameters, their gradient and the optimizer's moments
more than ten times. Where these are too large for the processor's cache, it goes through them block
by block, so that all passes but the first find their block there.
"""

from collections.abc import Sequence

import numpy as np

BLOCK = 2**16
"""Numbers in a block: five arrays of them are about a megabyte in float32."""


def row_blocks(n_rows: int, n_columns: int) -> list[slice]:
    """Cut the rows of a table into slices that hold about `BLOCK` numbers each, or one row."""
    n = max(1, BLOCK // max(1, n_columns))
    return [slice(start, min(start + n, n_rows)) for start in range(0, n_rows, n)]


def blocks(
    vectors: Sequence[np.ndarray], scratch: Sequence[np.ndarray]
) -> list[tuple[np.ndarray, ...]]:
    """Cut vectors of the shape (..., P) into views of up to `BLOCK` numbers, side by side.

    With each block's views of the vectors come views of the scratch arrays, which are as long as a
    full block (or as the vectors, if these are shorter): they serve every block in turn.
    """
    size = vectors[0].shape[-1]
    if size <= BLOCK:
        return [(*vectors, *scratch)]
    return [
        (
            *(vector[..., start : start + BLOCK] for vector in vectors),
            *(room[..., : size - start] for room in scratch),
        )
        for start in range(0, size, BLOCK)
    ]
