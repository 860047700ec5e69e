"""Block sizes: how much to work on at a time.

A pass over an array is fast while the array fits into the processor's cache. Several passes over a
large array therefore go block by block: only the first pass has to fetch its block from memory.

Explained in the course: regularization.
"""

from collections.abc import Sequence

import numpy as np

BLOCK = 2**16
"""Parameters in a block of an optimizer: five arrays of them are about a megabyte in float32."""

ELEMENTS = 2**17
"""Numbers in the widest array of a block of prediction."""

LEAST_ROWS = 128
"""The fewest rows in a block of prediction. Wide layers read all their weights again for each
block: with half as many rows, their products took 5 to 14 % longer."""

MANY_ROWS = 1024
"""A block with more rows than this should keep all its arrays together within `TOGETHER` numbers.
Narrow layers have few weights to read: with larger blocks, layers of 30 and 15 units took 10 to
30 % longer."""

TOGETHER = 3 * 2**15
"""Numbers in all arrays together of a block with many rows."""

STACKED_ELEMENTS = 2**15
"""Numbers in the widest array of a stack's batch at most. A stack saves calls, not arithmetic, so
that it pays while its arrays are small."""


def row_blocks(n_rows: int, n_columns: int) -> list[slice]:
    """Cut a table's rows into slices that hold about `BLOCK` numbers each, or a single row."""
    n = max(1, BLOCK // max(1, n_columns))
    return [slice(start, min(start + n, n_rows)) for start in range(0, n_rows, n)]


def blocks(
    vectors: Sequence[np.ndarray], scratch: Sequence[np.ndarray]
) -> list[tuple[np.ndarray, ...]]:
    """Cut vectors of shape (..., P) into views of up to `BLOCK` numbers, one tuple for each block.

    A tuple ends with views of the scratch arrays, which every block overwrites. These are as long
    as a block, or as the vectors if those are shorter.
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
