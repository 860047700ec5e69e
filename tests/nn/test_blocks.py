import numpy as np
import pytest

from skscratch.nn.blocks import BLOCK, blocks


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 7])
@pytest.mark.parametrize("stack", [(), (2,)])
def test_blocks_are_aligned_views_that_cover_everything_once(size, stack):
    vectors = [np.zeros((*stack, size)), np.ones((*stack, size), np.float32)]
    n_blocks = 0
    for first, second in blocks(*vectors):
        assert first.shape == second.shape
        assert first.shape[-1] <= BLOCK
        first += 1
        second *= 2
        n_blocks += 1
    assert n_blocks == max(1, -(-size // BLOCK))
    np.testing.assert_array_equal(vectors[0], 1)
    np.testing.assert_array_equal(vectors[1], 2)
