import numpy as np
import pytest

from skscratch.nn.blocks import BLOCK, STACKED_ELEMENTS, blocks, networks_per_stack


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 7])
@pytest.mark.parametrize("stack", [(), (2,)])
def test_blocks_are_aligned_views_that_cover_everything_once(size, stack):
    vectors = [np.zeros((*stack, size)), np.ones((*stack, size), np.float32)]
    scratch = np.zeros((*stack, min(size, BLOCK)))
    cut = blocks(vectors, [scratch])
    assert len(cut) == max(1, -(-size // BLOCK))
    for first, second, room in cut:
        assert first.shape == second.shape == room.shape
        assert first.shape[-1] <= BLOCK
        first += 1
        second *= 2
        room += 1
    np.testing.assert_array_equal(vectors[0], 1)
    np.testing.assert_array_equal(vectors[1], 2)
    if size:
        assert scratch[..., 0].flat[0] == len(cut)


def test_a_stack_is_as_large_as_its_widest_array_may_be_and_one_at_least():
    for n_networks in (1, 3, 16):
        most = STACKED_ELEMENTS // n_networks
        assert networks_per_stack(1, most) == networks_per_stack(most, 1) == n_networks
        assert networks_per_stack(32, most // 32) >= n_networks
    assert networks_per_stack(10**4, 10**4) == 1
