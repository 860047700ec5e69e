r"""Conformal prediction from rows that were left out of training: intervals and sets (CV+).

Each left-out row i has a score that tells how badly its own network k(i), which was not trained on
it, fits its target. A target of a new row x belongs to the answer unless it would fit worse with
k(i) than row i does, for too many i. If the new row and those left out are exchangeable, and each
row is left out once, the answer of level ``1 - alpha`` holds the target with a probability of
``1 - 2 alpha`` at least, but for a term of the order ``1/sqrt(n)``, whatever network and data are;
about ``1 - alpha`` is what one finds. Where all rows are left out of all networks (split conformal
prediction) ``1 - alpha`` itself is proven.

References
----------
Barber, Candes, Ramdas and Tibshirani (2021), "Predictive inference with the jackknife+", Annals of
Statistics 49, section 3. Romano, Sesia and Candes (2020), "Classification with valid and adaptive
coverage", NeurIPS.
"""

import math
from collections.abc import Sequence

import numpy as np

SortedScores = list[tuple[int, np.ndarray]]
"""The number of each network that left rows out, and their scores in ascending order."""


def rank_of(confidence_level: float, n_rows: int, n_sides: int = 1) -> int:
    """Return which of n sorted scores is the limit: ``ceil((1 - alpha / n_sides) (n + 1))``.

    Parameters
    ----------
    confidence_level : float
        ``1 - alpha``, in (0, 1).
    n_rows : int
        Number of scores.
    n_sides : int, default=1
        2 if the misses are shared out between two sides.

    Raises
    ------
    ValueError
        If the rows are so few that the limit would be infinite.

    Examples
    --------
    >>> rank_of(0.9, 99), rank_of(0.9, 99, n_sides=2), rank_of(0.9, 9)
    (90, 95, 9)
    """
    share = (1 - confidence_level) / n_sides
    # 0.1 times 10 has to be 1, which 1 - 0.9 is not.
    rank = n_rows + 1 - math.floor(round(share * (n_rows + 1), 9))
    if rank > n_rows:
        enough = math.ceil(round(1 / share, 9)) - 1
        raise ValueError(
            f"confidence_level={confidence_level:g} needs {enough} rows that were left out of "
            f"training, and there are {n_rows}: nothing could be left out of the answer. Ask for "
            f"{max(0, 1 - n_sides / (n_rows + 1)):.3g} at most, or train on more rows."
        )
    return rank


def sort_scores(scores: np.ndarray, networks: np.ndarray | None) -> SortedScores:
    """Sort the scores of each network; without numbers of networks there is one, number 0.

    Examples
    --------
    >>> sort_scores(np.array([3.0, 1.0, 2.0]), np.array([0, 2, 0]))
    [(0, array([2., 3.])), (2, array([1.]))]
    """
    if networks is None:
        return [(0, np.sort(scores))]
    return [(int(k), np.sort(scores[networks == k])) for k in np.unique(networks)]


def intervals(
    centers: np.ndarray,
    spreads: np.ndarray,
    above: SortedScores,
    below: SortedScores,
    rank: int,
) -> np.ndarray:
    """Return the CV+ interval of each row.

    With the prediction m_k and the spread s_k of network k the ends are the values of that rank
    among all ``m_k(i) + s_k(i) above_i``, from below, and among all ``m_k(i) - s_k(i) below_i``,
    from above. With absolute residuals for both, and spreads of 1, this is Barber's and others'
    interval. With residuals for ``above`` and their negatives for ``below``, each end is right for
    itself.

    Parameters
    ----------
    centers, spreads : ndarray of shape (n_networks, n_rows)
        Each network's predictions, and the units of the scores, > 0.
    above, below : list of tuple
        What `sort_scores` returns.
    rank : int
        What `rank_of` returns.

    Returns
    -------
    ends : ndarray of shape (n_rows, 2)
        Lower and upper end.

    Examples
    --------
    >>> scores = [(0, np.array([1.0, 3.0])), (1, np.array([2.0, 4.0]))]
    >>> intervals(np.array([[0.0], [10.0]]), np.ones((2, 1)), scores, scores, 3)
    array([[-1., 12.]])
    """
    low = -smallest(-centers, spreads, below, rank)
    high = smallest(centers, spreads, above, rank)
    # Networks that disagree by more than their errors may leave nothing, at a low level.
    middle = (low + high) / 2
    return np.stack([np.minimum(low, middle), np.maximum(high, middle)], axis=1)


def smallest(
    centers: np.ndarray, spreads: np.ndarray, scores: SortedScores, rank: int
) -> np.ndarray:
    """Return the value of that rank among all ``centers + spreads * scores``, for each row.

    The values of each network are in order already, so that a bisection counts those up to its
    middle by as many searches as there are networks, until a single one is left between its ends.

    Parameters
    ----------
    centers, spreads : ndarray of shape (n_networks, n_rows)
        What turns a network's scores into values; spreads are > 0.
    scores : list of tuple
        What `sort_scores` returns.
    rank : int
        From 1 to the number of all scores.

    Returns
    -------
    values : ndarray of shape (n_rows,)
        Exact up to rounding.

    Examples
    --------
    >>> scores = [(0, np.array([1.0, 3.0])), (1, np.array([2.0, 4.0]))]
    >>> smallest(np.array([[0.0, 0.5], [10.0, -9.0]]), np.ones((2, 2)), scores, 2)
    array([ 3., -5.])
    """
    parts = [(centers[k], spreads[k], own) for k, own in scores]
    total = sum(len(own) for _, _, own in parts)
    # The values at the same share of each list: the greatest has enough of all values up to it,
    # and below the least there are too few.
    upper = [a + b * own[math.ceil(rank * len(own) / total) - 1] for a, b, own in parts]
    lower = [a + b * own[(rank - 1) * len(own) // total] for a, b, own in parts]
    high, low = np.max(upper, axis=0), np.min(lower, axis=0)
    rounding = 1e-14 * (np.abs(high) + np.abs(low) + np.abs(centers).max(axis=0)) + 1e-300
    low = low - 10 * rounding
    counts = sum(_counts(low, parts))
    while np.any((counts < rank - 1) & (high - low > rounding)):
        middle = low / 2 + high / 2
        found = sum(_counts(middle, parts))
        enough = found >= rank
        high = np.where(enough, middle, high)
        low, counts = np.where(enough, low, middle), np.where(enough, counts, found)
    nexts = [
        np.where(n < len(own), a + b * own[np.minimum(n, len(own) - 1)], np.inf)
        for n, (a, b, own) in zip(_counts(low, parts), parts, strict=True)
    ]
    return np.min(nexts, axis=0)


def _counts(
    limit: np.ndarray, parts: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]
) -> list[np.ndarray]:
    """Count the values up to a limit, list by list."""
    return [np.searchsorted(own, (limit - a) / b, side="right") for a, b, own in parts]


def inclusion_scores(P: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Return the generalized inverse quantile score of each class, with its randomization.

    This is the sum of the probabilities of all classes from the likeliest to the one in question,
    less a share u of the latter's own: how much probability a set has to gather before it
    reaches the class. For the true class it is uniform if the probabilities are right.

    Parameters
    ----------
    P : ndarray of shape (..., n_rows, n_classes)
        Probabilities.
    u : ndarray of shape (n_rows,)
        Random numbers in [0, 1).

    Returns
    -------
    scores : ndarray of shape (..., n_rows, n_classes)
        The scores.

    Examples
    --------
    >>> inclusion_scores(np.array([[0.2, 0.7, 0.1]]), np.array([0.5])).round(2)
    array([[0.8 , 0.35, 0.95]])
    """
    order = np.argsort(-P, axis=-1, kind="stable")
    sums, scores = np.cumsum(np.take_along_axis(P, order, axis=-1), axis=-1), np.empty(P.shape)
    np.put_along_axis(scores, order, sums, axis=-1)
    return scores - u[:, np.newaxis] * P


def sets(scores: np.ndarray, left_out: SortedScores, rank: int) -> np.ndarray:
    """Say which classes belong to the CV+ set of each row.

    A class does unless as many left-out rows as the rank have smaller scores than it has with
    their network.

    Parameters
    ----------
    scores : ndarray of shape (n_networks, n_rows, n_classes)
        Each network's scores of each class.
    left_out : list of tuple
        The true classes' scores, as `sort_scores` returns them.
    rank : int
        What `rank_of` returns.

    Returns
    -------
    inside : ndarray of bool of shape (n_rows, n_classes)
        Whether a class belongs to the set.

    Examples
    --------
    >>> left_out = [(0, np.array([0.2, 0.5])), (1, np.array([0.6]))]
    >>> sets(np.array([[[0.4, 0.9]], [[0.3, 0.8]]]), left_out, 2)
    array([[ True, False]])
    """
    smaller = sum(np.searchsorted(own, scores[k], side="left") for k, own in left_out)
    return smaller < rank
