"""Block sizes: how much to work on at a time.

A pass over an array is fast while the array stays in the processor's cache. So several passes over
a large array go through it block by block, and all but the first find their block there.
"""

from collections.abc import Sequence

import numpy as np

BLOCK = 2**16
"""Parameters in a block of an optimizer's passes: five arrays are about a megabyte in float32."""

ELEMENTS = 2**17
"""Numbers in a block's widest array, in prediction and when data are looked through."""

LEAST_ROWS = 128
"""Rows that a block of prediction has at least. The products of wide layers read all their weights
anew for each block: with half as many rows they were measured to take 5 to 14 % longer."""

MANY_ROWS = 1024
"""Rows beyond which all arrays of a block of prediction should fit into `TOGETHER`: narrow layers
have few weights to read, and with larger blocks (30, 15) units take 10 to 30 % longer."""

TOGETHER = 3 * 2**15
"""Numbers in all arrays of a block of many rows."""

STACKED_ELEMENTS = 2**15
"""Numbers in the widest array of a stack's batch at most. A stack saves calls, not arithmetic, so
that it pays while its arrays are small."""


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


def networks_per_stack(batch_size: int, widest: int) -> int:
    """Return how many networks to train side by side in one stack, 1 at least.

    Parameters
    ----------
    batch_size : int
        Rows of a batch.
    widest : int
        Units of the widest layer, inputs included.
    """
    return max(1, STACKED_ELEMENTS // (batch_size * widest))
