"""Rows that are left out of training, as row indices."""

import reprlib
from typing import Any

import numpy as np
from sklearn.model_selection import check_cv

from .inputs import Data


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


def cut_folds(
    n_samples: int,
    n_folds: int,
    rng: np.random.Generator,
    labels: np.ndarray | None = None,
    sample_weight: np.ndarray | None = None,
) -> list[np.ndarray]:
    """Cut the rows at random into folds of as many rows, more or less one.

    Rows are dealt out like cards, class by class, so that each fold has its share of each class.

    Parameters
    ----------
    n_samples, n_folds : int
        Numbers of rows and folds.
    rng : numpy.random.Generator
        Source of random numbers.
    labels : ndarray of int of shape (n_samples,), optional
        Class numbers.
    sample_weight : ndarray of shape (n_samples,), optional
        Weights; rows of weight 0 are dealt out for themselves.

    Returns
    -------
    folds : list of ndarray of int
        Indices of each fold's rows in ascending order, the larger folds first.
    """
    order = rng.permutation(n_samples)
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
    if sample_weight is not None:
        order = order[np.argsort(sample_weight[order] == 0, kind="stable")]
    return [np.sort(order[k::n_folds]) for k in range(n_folds)]


def split_by_user(
    cv: Any, data: Data, groups: Any, is_classifier: bool
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Let the user's ``cv`` make its splits.

    Parameters
    ----------
    cv : int, splitter or iterable of splits
        As scikit-learn takes it.
    data : Data
        The rows.
    groups : array-like of shape (n_samples,) or None
        Groups that a split keeps together.
    is_classifier : bool
        Whether an integer means stratified folds.

    Returns
    -------
    splits : list of tuple of ndarray of int
        For each split the rows to train on, and those left out.

    Raises
    ------
    ValueError
        If a split is no pair of row numbers, lacks rows, or trains on rows that it leaves out.
    """
    y = data.y[:, 0] if data.y.shape[1:] == (1,) else data.y
    shown, everything = reprlib.repr(cv), np.arange(len(y))
    pairs, splits = cv, []
    if not np.iterable(cv):
        pairs = check_cv(cv, y, classifier=is_classifier).split(data.X, y, groups)
    for number, split in enumerate(pairs, start=1):
        try:
            training, left_out = (
                everything[np.asarray(part, None if len(part) else int)] for part in split
            )
        except (IndexError, TypeError, ValueError) as error:
            raise ValueError(
                f"Split {number} of cv={shown} has to be a pair: numbers of rows to train on, and "
                f"of rows to leave out, from 0 to {len(y) - 1}. {error}"
            ) from error
        shared = np.intersect1d(training, left_out)
        if not (len(training) and len(left_out)) or len(shared):
            raise ValueError(
                f"Split {number} of cv={shown} has {len(training)} rows to train on and "
                f"{len(left_out)} left out, {len(shared)} of them in both. Each split needs rows "
                "of both kinds, and none in both."
            )
        splits.append((training, left_out))
    if not splits:
        raise ValueError(f"cv={shown} makes no splits.")
    return splits
