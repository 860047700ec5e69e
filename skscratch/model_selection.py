"""A search at the price of one fit a candidate.

Each fit of several networks has an honest score already, ``oof_score_``, of rows that were left out
of training, so that a search needs no folds of its own around it:

>>> from sklearn.datasets import load_iris
>>> from sklearn.model_selection import GridSearchCV
>>> from skscratch import ScratchMLPClassifier
>>> from skscratch.model_selection import AllRows, out_of_fold_score
>>> X, y = load_iris(return_X_y=True)
>>> model = ScratchMLPClassifier((8,), n_networks=3, max_iter=99, random_state=0)
>>> grid = {"learning_rate": [1e-6, 0.01]}
>>> search = GridSearchCV(model, grid, cv=AllRows(), scoring=out_of_fold_score).fit(X, y)
>>> search.best_params_
{'learning_rate': 0.01}
>>> bool(search.best_score_ == search.best_estimator_.oof_score_)
True
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin, VarianceThreshold
from sklearn.utils.validation import _num_samples

from ._fitting.warn import warn

__all__ = ["AllRows", "out_of_fold_score"]


@dataclass(frozen=True)
class AllRows:
    """A splitter with a single split that trains on all rows, and has all rows to score.

    It goes with `out_of_fold_score`. Any other score would be that of rows that were trained on.

    In the end a search trains its winner once more, unless ``refit=False``. With a fixed
    ``random_state`` this gives the same networks again.

    See Also
    --------
    out_of_fold_score : What to pass as ``scoring``.

    Examples
    --------
    >>> from skscratch.model_selection import AllRows
    >>> next(AllRows().split([[1], [2], [3]]))
    (array([0, 1, 2]), array([0, 1, 2]))
    """

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield all rows twice.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The rows.
        y, groups : object, default=None
            Ignored.

        Yields
        ------
        train, test : ndarray of int of shape (n_samples,)
            All indices.
        """
        rows = np.arange(_num_samples(X))
        yield rows, rows.copy()

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return 1.

        Parameters
        ----------
        X, y, groups : object, default=None
            Ignored.

        Returns
        -------
        n_splits : int
            The number of splits.
        """
        return 1


def out_of_fold_score(estimator: Any, X: Any, y: Any = None) -> float:
    """Score a fitted estimator by its ``oof_score_``: pass it to a search as ``scoring``.

    The score is what the estimator's own ``scoring`` says: by default accuracy or R2. Candidates
    that differ in ``scoring``, or with ``scoring="loss"`` in ``loss``, cannot be compared by it.

    The best of many scores is better than the winner deserves, as in any search; rows that the
    search has not seen tell how good it is.

    Parameters
    ----------
    estimator : estimator or Pipeline
        What has ``oof_score_``, or a pipeline whose last step has. The pipeline's other steps have
        to learn nothing from y, since they see all rows: a scaler or an encoder of categories is
        fine, a choice of features by y makes scores that are too good. Selectors, transformers that
        require y or predict it, and samplers are warned of, inside other steps too.
    X, y : object
        Ignored; a search passes them.

    Returns
    -------
    score : float
        The score, greater is better.

    Raises
    ------
    ValueError
        If there is no ``oof_score_``: no rows were left out of training, or the estimator is of
        another kind. A search warns of this error and goes on with NaN, unless it has
        ``error_score="raise"``.

    See Also
    --------
    AllRows : What to pass as ``cv``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skscratch import ScratchMLPClassifier
    >>> from skscratch.model_selection import out_of_fold_score
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = make_pipeline(StandardScaler(), ScratchMLPClassifier((8,), random_state=0)).fit(X, y)
    >>> out_of_fold_score(clf, X, y) == clf[-1].oof_score_
    True
    """
    last = estimator
    if hasattr(estimator, "steps"):
        last = estimator.steps[-1][1]
        looking = [name for name, step in estimator.steps[:-1] if _looks_at_y(step)]
        if looking:
            warn(
                f"out_of_fold_score is too good with the step{'s' * (len(looking) > 1)} "
                f"{', '.join(map(repr, looking))}, which saw the y of the rows that are scored. "
                "Search with folds, as in cv=5, or without."
            )
    try:
        return last.oof_score_
    except AttributeError as error:
        raise ValueError(
            f"{type(last).__name__} has no out-of-fold score: "
            f"{str(error).removesuffix('.')}. out_of_fold_score takes a "
            "ScratchMLPClassifier or ScratchMLPRegressor that leaves rows out of training, or a "
            "pipeline that ends in one."
        ) from error


def _looks_at_y(step: Any) -> bool:
    """Say whether a step, or one inside it, learns from y, or makes new rows."""
    inside = step.get_params().values() if hasattr(step, "get_params") else ()
    return any(_learns_from_y(each) for each in (step, *inside))


def _learns_from_y(step: Any) -> bool:
    if hasattr(step, "fit_resample"):
        return True
    if not (hasattr(step, "transform") and isinstance(step, BaseEstimator)):
        return False
    # Selectors and predictors may do without y, and do not declare that they look at it.
    if isinstance(step, SelectorMixin) and not isinstance(step, VarianceThreshold):
        return True
    tags = step.__sklearn_tags__()
    return tags.target_tags.required or tags.estimator_type in ("classifier", "regressor")
