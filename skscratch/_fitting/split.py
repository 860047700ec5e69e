"""The validation split, as row indices."""

import numpy as np


def split_rows(
    n_samples: int,
    n_validation: int,
    rng: np.random.Generator,
    labels: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Divide the rows at random into a training and a validation part.

    scikit-learn's `train_test_split` would copy the data, and refuses to stratify when a class
    has one member or when there are more classes than validation rows. Here such a class stays in
    training, and no class ever leaves it.

    Parameters
    ----------
    n_samples : int
        Number of rows.
    n_validation : int
        Rows to hold out. With labels it may be undercut where classes are too small.
    rng : numpy.random.Generator
        Source of random numbers.
    labels : ndarray of int of shape (n_samples,), optional
        Class numbers from 0 on. Each class gives its share of the validation part, rounded by
        the largest remainders.

    Returns
    -------
    training, validation : ndarray of int
        Indices in ascending order.
    """
    order = rng.permutation(n_samples)
    if labels is None:
        return np.sort(order[n_validation:]), np.sort(order[:n_validation])
    counts = np.bincount(labels)
    shares = n_validation * counts / n_samples
    taken = np.minimum(np.floor(shares).astype(int), np.maximum(counts - 1, 0))
    # One more each for the largest remainders, ties in random order, if a member is to spare.
    by_remainder = rng.permutation(len(counts))
    by_remainder = by_remainder[np.argsort(-(shares - taken)[by_remainder], kind="stable")]
    by_remainder = by_remainder[(counts - taken)[by_remainder] >= 2]
    taken[by_remainder[: n_validation - taken.sum()]] += 1
    # Class after class, each in random order: the first `taken` rows of each are held out.
    by_class = order[np.argsort(labels[order], kind="stable")]
    position = np.arange(n_samples) - np.repeat(np.cumsum(counts) - counts, counts)
    held_out = position < np.repeat(taken, counts)
    return np.sort(by_class[~held_out]), np.sort(by_class[held_out])
