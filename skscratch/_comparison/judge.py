"""Judging: which differences are more than chance."""

from math import nan, sqrt
from typing import Any

import numpy as np
from scipy.special import stdtr, stdtrit

from .measure import COLUMNS, Scorers
from .show import UNDECIDED, Comparison


def corrected_t_test(differences: np.ndarray, test_to_train: float) -> tuple[float, float]:
    """Test whether the mean of the folds' differences, of shape (n_folds,), is 0.

    ``test_to_train`` is the number of test rows divided by that of training rows. Return the
    two-sided p-value of the corrected resampled t-test, NaN for one fold or NaN scores; and the
    corrected standard error of the mean, NaN where p is or without any spread.
    """
    k, mean = len(differences), differences.mean()
    if k < 2 or not np.isfinite(differences).all():
        return nan, nan
    if np.ptp(differences) <= 1e-12 * abs(mean):
        return (1.0 if mean == 0 else 2.0 ** (1 - k)), nan
    standard_error = sqrt(1 / k + test_to_train) * differences.std(ddof=1)
    return 2 * float(stdtr(k - 1, -abs(mean) / standard_error)), standard_error


def holm(p: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Correct p-values for their number by Holm's step-down procedure.

    They are of shape (n_tests,), NaN where there was nothing to test; alpha is the chance allowed
    of one wrong rejection or more. Return p-values to compare with alpha, and the levels that the
    procedure compares the uncorrected ones with: alpha divided by the number of tests that are
    left, which no longer falls once a test is not rejected.
    """
    corrected, levels = np.full(len(p), nan), np.full(len(p), alpha)
    order = [i for i in np.argsort(p) if np.isfinite(p[i])]
    left, largest = len(order), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p[i]))
        corrected[i], levels[i] = largest, alpha / left
        if largest <= alpha:
            left -= 1
    return corrected, levels


def summarize(
    task: str,
    names: list[str],
    scorers: Scorers,
    rows: list[dict[str, Any]],
    test_to_train: float,
    confidence: float,
    title: str,
) -> Comparison:
    import pandas as pd

    metrics = {metric: upwards for metric, (_, upwards) in scorers.items()}
    rows.sort(key=lambda row: (row["fold"], names.index(row["estimator"])))
    scores = pd.DataFrame(rows)[["fold", "estimator", *metrics, *COLUMNS[2:]]]
    groups = scores.groupby("estimator", sort=False)
    fit_times = scores.pivot(index="fold", columns="estimator", values="fit_time")
    columns: dict[str, Any] = {}
    for metric in metrics:
        columns |= {metric: groups[metric].mean(), f"{metric}_std": groups[metric].std()}
    columns["fit_time"] = groups["fit_time"].median()
    columns["relative_fit_time"] = fit_times.div(fit_times[names[0]], axis="index").median()
    columns |= {column: groups[column].median() for column in ("predict_time", "size")}
    columns["not_converged"] = groups["converged"].agg(lambda fits: int((~fits).sum()))
    differences: list[dict[str, Any]] = []
    for metric, upwards in metrics.items():
        values = scores.pivot(index="fold", columns="estimator", values=metric)[names].to_numpy()
        judged = _judge(values, names, upwards, test_to_train, 1 - confidence)
        differences += ({"metric": metric} | row for row in judged)
    return Comparison(
        task=task,
        metrics=metrics,
        reference=names[0],
        scores=scores,
        table=pd.DataFrame(columns).loc[names],
        differences=pd.DataFrame(differences),
        title=title,
        confidence=confidence,
    )


def _judge(
    values: np.ndarray, names: list[str], upwards: bool, test_to_train: float, alpha: float
) -> list[dict[str, Any]]:
    """Compare the first column of values, of shape (n_folds, n_estimators), with the others."""
    reference, rivals = names[0], names[1:]
    differences = values[:, :1] - values[:, 1:]
    tested = [corrected_t_test(column, test_to_train) for column in differences.T]
    p = np.array([p for p, _ in tested])
    corrected, levels = holm(p, alpha)
    rows = []
    for j, rival in enumerate(rivals):
        mean = float(differences[:, j].mean())
        margin = float(stdtrit(len(values) - 1, 1 - levels[j] / 2)) * tested[j][1]
        verdict = UNDECIDED
        if corrected[j] <= alpha:
            verdict = f"{reference if (mean > 0) is upwards else rival} better"
        rows.append(
            {
                "rival": rival,
                "difference": mean,
                "low": mean - margin,
                "high": mean + margin,
                "p": p[j],
                "p_holm": corrected[j],
                "verdict": verdict,
            }
        )
    return rows
