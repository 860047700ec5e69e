"""
=======================================
Comparison with scikit-learn's own MLPs
=======================================

How do `ScratchMLPClassifier` and `ScratchMLPRegressor` compare with `MLPClassifier` and
`MLPRegressor`: how well do they predict, and how long do they take to train?

`skscratch.compare` answers that for any data in a line, ``print(compare(X, y))``. Here it is asked
for four data sets, with the estimators as their constructors leave them. It takes less than a
minute on two cores.
"""

# %%
# Rules of the comparison
# -----------------------
#
# - The folds are the same for every model. No row that a figure is measured on has trained or
#   chosen anything.
# - By default ours trains several networks side by side, each without another fold of its training
#   rows, and averages them. So that nobody takes that for the whole difference, a single one
#   (``n_networks=1``), which trains on all rows as scikit-learn's does, has a row of its own.
# - scikit-learn's networks stand behind a `StandardScaler`, ours scale the features themselves.
# - A difference counts if the corrected resampled t-test says so, which knows that folds share
#   their training rows.
# - Fits are timed one after the other on the same fold, the models taking turns at being first.
#   Matrix products get one thread each, on both sides: with products this small a second one costs
#   more than it brings, and two worker processes want two cores.
# - `MLPRegressor` takes its target as it is, while `ScratchMLPRegressor` standardizes it. So that
#   this alone does not decide, `MLPRegressor` also runs inside a `TransformedTargetRegressor`,
#   which standardizes the target for it: "y scaled" below.

import time
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from joblib import parallel_config
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skscratch import ScratchMLPClassifier, ScratchMLPRegressor, compare

_ = parallel_config(backend="loky", inner_max_num_threads=1)

# %%
# Data
# ----
#
# The real data sets that come with scikit-learn. All are small: 178 to 1,797 rows, 10 to 64
# features, numbers throughout. The target is a class, except for diabetes, where it is the
# disease's progress in a year, a number.

LOADERS = {
    "digits": load_digits,
    "breast cancer": load_breast_cancer,
    "wine": load_wine,
    "diabetes": load_diabetes,
}

# %%
# Models
# ------
#
# They are given by name, the first being the one that the others are compared with.


def scaled(mlp):
    """Return a model that standardizes the features for mlp."""
    return make_pipeline(StandardScaler(), mlp)


CLASSIFIERS = {
    "ScratchMLPClassifier": ScratchMLPClassifier(),
    "the same, one network": ScratchMLPClassifier(n_networks=1),
    "MLPClassifier": scaled(MLPClassifier()),
}
REGRESSORS = {
    "ScratchMLPRegressor": ScratchMLPRegressor(),
    "the same, one network": ScratchMLPRegressor(n_networks=1),
    "MLPRegressor": scaled(MLPRegressor()),
    "MLPRegressor, y scaled": TransformedTargetRegressor(
        scaled(MLPRegressor()), transformer=StandardScaler()
    ),
}

# %%
# Measurement
# -----------

comparisons = {}
for data, load in LOADERS.items():
    started = time.perf_counter()
    X, y = load(return_X_y=True, as_frame=True)
    models = REGRESSORS if data == "diabetes" else CLASSIFIERS
    comparisons[data] = compare(
        X, y, models, cv=10, n_repeats=1, random_state=0, n_jobs=2, verbose=False
    )
    seconds = time.perf_counter() - started
    print(f"{data}: {X.shape[0]} rows, {X.shape[1]} features, done in {seconds:.0f} s", flush=True)

# %%
# One of them in full. Outside of notebooks and pages, ``print`` shows it:

comparisons["digits"]

# %%
# Tables
# ------
#
# All of them. Scores and losses are means over the folds, plus or minus their standard deviation:
# accuracy and R2 should be high, log loss and RMSE low. An R2 below 0 is worse than always
# predicting the mean.
#
# Fit time is that of one call of ``fit``, the median over the folds. "time / ours" divides it by
# the time of ours in the same fold, and is again a median: above 1, ours was faster. Each model
# decides by itself how many epochs it makes, which is part of it.

LABELS = {"accuracy": "accuracy", "log_loss": "log loss", "r2": "R2", "rmse": "RMSE"}
INDEX = ["data", "model"]


def score_table(task):
    """Return a row for each data set and model."""
    tables = {key: c.table for key, c in comparisons.items() if c.task == task}
    table = pd.concat(tables, names=INDEX)
    columns = {}
    for metric in next(iter(comparisons[key] for key in tables)).metrics:
        digits = 1 if metric == "rmse" else 3
        columns[LABELS[metric]] = [
            f"{mean:.{digits}f} ± {deviation:.{digits}f}"
            for mean, deviation in zip(table[metric], table[f"{metric}_std"], strict=True)
        ]
    columns["fit time, s"] = table["fit_time"].map("{:.2f}".format)
    columns["time / ours"] = table["relative_fit_time"].map("{:.2f}".format)
    return pd.DataFrame(columns, index=table.index)


def verdict_table(task):
    """Return what can be said of each rival's difference from ours."""
    frames = {key: c.differences for key, c in comparisons.items() if c.task == task}
    verdicts = pd.concat(frames, names=INDEX[:1]).reset_index().rename(columns={"rival": "model"})
    wide = verdicts.pivot(index=INDEX, columns="metric", values="verdict")
    order = verdicts.drop_duplicates(INDEX)[INDEX]
    return wide.loc[pd.MultiIndex.from_frame(order)].rename(columns=LABELS).rename_axis(columns="")


print("means over 10 folds, at defaults\n")
for task in ("classification", "regression"):
    print(score_table(task).to_string(), end="\n\n")
for task in ("classification", "regression"):
    print(verdict_table(task).to_string(), end="\n\n")

# %%
# Figure
# ------
#
# The differences with their intervals. Right of the line ours is better, in each of the three
# columns, and a filled marker means that this is more than chance.

BLUE, ORANGE = "#0072B2", "#D55E00"  # also for color-blind readers


def draw_differences(axes, row, difference, color):
    """Draw one difference with its interval."""
    clear = difference.verdict != "no clear difference"
    axes.plot([difference.low, difference.high], [row, row], color=color, linewidth=2)
    face = color if clear else "white"
    axes.plot(difference.difference, row, "o", color=color, markerfacecolor=face)


def draw_ratio(axes, row, comparison, rival, color):
    """Draw the rival's fit times relative to ours: the folds as ticks, and their median."""
    times = comparison.scores.pivot(index="fold", columns="estimator", values="fit_time")
    ratios = times[rival] / times[comparison.reference]
    axes.plot(ratios, [row] * len(ratios), "|", color=color, markersize=8)
    axes.plot(ratios.median(), row, "o", color=color)


figure, grid = plt.subplots(
    len(LOADERS),
    3,
    figsize=(12, 7.5),
    height_ratios=[2, 2, 2, 3],
    sharey="row",
    layout="constrained",
)
for (data, comparison), row_of_axes in zip(comparisons.items(), grid, strict=True):
    score, loss, ratio = row_of_axes
    metrics = list(comparison.metrics)
    rivals = list(comparison.differences["rival"].unique())
    for row, rival in enumerate(rivals):
        color = BLUE if rival == "the same, one network" else ORANGE
        rows = comparison.differences.query("rival == @rival").set_index("metric")
        for axes, metric in zip((score, loss), metrics, strict=True):
            draw_differences(axes, row, rows.loc[metric], color)
        draw_ratio(ratio, row, comparison, rival, color)
    score.set_yticks(range(len(rivals)), rivals)
    score.set_ylim(len(rivals) - 0.5, -0.5)
    score.set_title(data, loc="left", fontweight="bold")
    loss.invert_xaxis()
    for axes, metric in zip((score, loss), metrics, strict=True):
        axes.axvline(0, color="0.4", linewidth=1)
        axes.set_xlabel(f"{LABELS[metric]}: ours minus rival's")
        axes.locator_params(axis="x", nbins=5)
    ratio.axvline(1, color="0.4", linewidth=1)
    ratio.set(xscale="log", xlim=(0.05, 20), xlabel="fit time: rival's / ours")
    ratio.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])
    for axes in row_of_axes:
        axes.grid(axis="x", alpha=0.3)
figure.suptitle(
    "Right of the line: ours is better. Filled marker: more than chance, at 95 % confidence.\n"
    "Bars: confidence intervals. Ticks: fit times of the folds, and their median."
)

if plt.get_backend().lower() == "agg":  # there is no screen
    figure.savefig("compare_with_mlpclassifier.png", dpi=120)
    print(f"Figure saved as {Path('compare_with_mlpclassifier.png').resolve()}")
else:
    plt.show()
