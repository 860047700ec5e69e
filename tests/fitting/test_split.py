import numpy as np
import pytest

from skscratch._fitting.split import split_rows


def stream(seed):
    return np.random.default_rng(seed)


def random_labels(seed):
    """Draw labels with classes of very different sizes, and a number of rows to hold out."""
    rng = stream(seed)
    counts = rng.integers(0, 10 ** rng.integers(1, 4), size=rng.integers(1, 12))
    counts[rng.integers(len(counts))] += 2
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    return labels, int(rng.integers(0, len(labels) + 1))


@pytest.mark.parametrize("seed", range(200))
def test_stratified_parts(seed):
    labels, n_validation = random_labels(seed)
    training, held_out = split_rows(len(labels), n_validation, stream(seed), labels)
    np.testing.assert_array_equal(
        np.sort(np.concatenate([training, held_out])), np.arange(len(labels))
    )
    assert np.all(np.diff(training) > 0)
    assert np.all(np.diff(held_out) > 0)
    counts = np.bincount(labels)
    taken = np.bincount(labels[held_out], minlength=len(counts))
    # No class leaves training, so that a class of one member stays there.
    assert np.all((counts - taken)[counts > 0] >= 1)
    # Each class gives its share, up or down to the next whole number, unless it would be used up.
    shares = n_validation * counts / len(labels)
    available = np.maximum(counts - 1, 0)
    assert np.all(taken >= np.minimum(np.floor(shares), available))
    assert np.all(taken <= np.ceil(shares))
    assert len(held_out) <= n_validation
    if np.all(available >= np.ceil(shares)):
        assert len(held_out) == n_validation


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("n_samples", [2, 3, 10, 1001])
def test_plain_parts(seed, n_samples):
    n_validation = int(stream(seed).integers(0, n_samples + 1))
    training, held_out = split_rows(n_samples, n_validation, stream(seed))
    assert len(held_out) == n_validation
    np.testing.assert_array_equal(
        np.sort(np.concatenate([training, held_out])), np.arange(n_samples)
    )
    assert np.all(np.diff(training) > 0)
    assert np.all(np.diff(held_out) > 0)


def test_the_largest_remainders_are_rounded_up():
    # Shares of 10: 5.2, 2.6 and 2.2.
    labels = np.repeat([0, 1, 2], [52, 26, 22])
    for seed in range(10):
        _, held_out = split_rows(100, 10, stream(seed), labels)
        np.testing.assert_array_equal(np.bincount(labels[held_out]), [5, 3, 2])


def test_a_tie_of_remainders_is_broken_at_random():
    labels = np.repeat([0, 1], [5, 5])
    winners = {
        tuple(np.bincount(labels[split_rows(10, 3, stream(seed), labels)[1]])) for seed in range(30)
    }
    assert winners == {(1, 2), (2, 1)}


@pytest.mark.parametrize("labels", [None, np.arange(50) % 3], ids=["plain", "stratified"])
def test_every_row_gets_its_turn_and_the_seed_decides(labels):
    def held_out(seed):
        return tuple(split_rows(50, 10, stream(seed), labels)[1])

    assert held_out(1) == held_out(1)
    assert len({held_out(seed) for seed in range(20)}) == 20
    turns = np.bincount(np.concatenate([held_out(seed) for seed in range(500)]), minlength=50)
    # Binomial(500, 0.2): mean 100, standard deviation 9.
    assert turns.min() > 55
    assert turns.max() < 145


def test_only_singletons_hold_nothing_out():
    training, held_out = split_rows(5, 3, stream(0), np.arange(5))
    assert len(held_out) == 0
    np.testing.assert_array_equal(training, np.arange(5))


def test_every_class_keeps_a_row_even_if_all_are_to_be_held_out():
    labels = np.repeat([0, 1, 2], [5, 3, 1])
    training, held_out = split_rows(9, 9, stream(0), labels)
    np.testing.assert_array_equal(labels[training], [0, 1, 2])
    assert len(held_out) == 6


def test_a_class_number_without_rows_is_no_matter():
    labels = np.repeat([0, 3], [10, 10])
    _, held_out = split_rows(20, 6, stream(0), labels)
    np.testing.assert_array_equal(np.bincount(labels[held_out]), [3, 0, 0, 3])
