"""
=======================================
Comparison with scikit-learn's own MLPs
=======================================

How do `ScratchMLPClassifier` and `ScratchMLPRegressor` compare with `MLPClassifier` and
`MLPRegressor`: how well do they predict, and how long do they take to train?

Both are asked twice: as their constructors leave them, and after a grid search with the same number
of candidates. All of it takes one to two minutes on two cores.
"""

# %%
# Rules of the comparison
# -----------------------
#
# - Cross-validation is nested. The outer folds measure, and are the same for every model. A grid
#   search sees the training part of an outer fold only, and cuts it into inner folds, again the
#   same for every model. No row that a figure is measured on has trained or chosen anything.
# - All models get standardized features, one random state, and at most 200 epochs, the default on
#   both sides. Training may end earlier, by the same tolerance.
# - Fits are timed one after the other on the same fold, the models taking turns at being first.
#   Matrix products get one thread each, on both sides: with products this small a second one costs
#   more than it brings, and two worker processes want two cores.
# - `MLPRegressor` takes its target as it is, while `ScratchMLPRegressor` standardizes it. So that
#   this alone does not decide, `MLPRegressor` also runs inside a `TransformedTargetRegressor`,
#   which standardizes the target for it: "y scaled" in the table.

import os
import time
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from joblib import parallel_config
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, log_loss, r2_score, root_mean_squared_error
from sklearn.model_selection import GridSearchCV, KFold, ParameterGrid, StratifiedKFold
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skscratch import SGD, ScratchMLPClassifier, ScratchMLPRegressor

threadpool_limits(limits=1)  # for this process; the next line is for the workers
parallel_config(backend="loky", inner_max_num_threads=1)

# Small data have often not converged after 200 epochs, and both sides say so at each fit. Here that
# is part of the rules. Where the filter does not reach the workers, the environment does.
warnings.filterwarnings("ignore", category=ConvergenceWarning)
os.environ["PYTHONWARNINGS"] = "ignore:Stochastic Optimizer,ignore:Training reached max_iter"

# %%
# Data
# ----
#
# Four real data sets that come with scikit-learn, as data frames: images of handwritten digits,
# measurements of cell nuclei and of wines, each with a class to predict, and patients with
# diabetes, where it is the disease's progress in a year, a number.

LOADERS = {
    "digits": load_digits,
    "breast cancer": load_breast_cancer,
    "wine": load_wine,
    "diabetes": load_diabetes,
}

# %%
# Grids
# -----
#
# Two recipes: Adam with one wide layer of ReLUs, and Nesterov's momentum with two smaller layers of
# tanh. Where scikit-learn has the same parameter, it gets the same values. It has no ``dropout``;
# those candidates go to further values of ``alpha``, its name for ``l2``. An optimizer passed as an
# object opens its own parameters to the search, as in ``optimizer__momentum``.

OUR_GRID = [
    {
        "hidden_layer_sizes": [(100,)],
        "activation": ["relu"],
        "init": ["glorot_uniform"],
        "optimizer": ["adam"],
        "l2": [0.1, 1.0],
        "dropout": [0.0, 0.25],
        "batch_size": ["auto"],
        "learning_rate": [0.003],
    },
    {
        "hidden_layer_sizes": [(32, 16)],
        "activation": ["tanh"],
        "init": ["lecun_normal"],
        "optimizer": [SGD(nesterov=True)],
        "optimizer__momentum": [0.8, 0.9],
        "l2": [0.01, 1.0],
        "dropout": [0.0],
        "batch_size": [64],
        "learning_rate": [0.1],
    },
]
THEIR_GRID = [
    {
        "hidden_layer_sizes": [(100,)],
        "activation": ["relu"],
        "solver": ["adam"],
        "alpha": [0.001, 0.01, 0.1, 1.0],
        "batch_size": ["auto"],
        "learning_rate_init": [0.003],
    },
    {
        "hidden_layer_sizes": [(32, 16)],
        "activation": ["tanh"],
        "solver": ["sgd"],
        "momentum": [0.8, 0.9],
        "alpha": [0.01, 1.0],
        "batch_size": [64],
        "learning_rate_init": [0.1],
    },
]
N_CANDIDATES = len(ParameterGrid(OUR_GRID))
assert len(ParameterGrid(THEIR_GRID)) == N_CANDIDATES

# %%
# Models
# ------
#
# Classifiers are searched by log loss, which tells candidates apart that make the same few errors;
# regressors by R2.

N_OUTER, N_INNER = 5, 3


def folds(n, classify, random_state):
    """Return a splitter into n shuffled folds, with the same shares of classes if there are any."""
    splitter = StratifiedKFold if classify else KFold
    return splitter(n, shuffle=True, random_state=random_state)


def pipeline(mlp):
    """Return a model that standardizes the features for mlp."""
    return Pipeline([("scale", StandardScaler()), ("mlp", mlp)])


def search(model, grid, prefix, classify):
    """Return a grid search around model, in which prefix leads to the network's parameters."""
    return GridSearchCV(
        model,
        [{prefix + key: values for key, values in part.items()} for part in grid],
        scoring="neg_log_loss" if classify else "r2",
        cv=folds(N_INNER, classify, random_state=1),
        n_jobs=2,
    )


def contenders(classify):
    """Return each model's name, the model at defaults, and a search around it; ours first."""
    if classify:
        ours, theirs = ScratchMLPClassifier(random_state=0), MLPClassifier(random_state=0)
        models = [
            ("ScratchMLPClassifier", pipeline(ours), OUR_GRID, "mlp__"),
            ("MLPClassifier", pipeline(theirs), THEIR_GRID, "mlp__"),
        ]
    else:
        ours, theirs = ScratchMLPRegressor(random_state=0), MLPRegressor(random_state=0)
        scaled = TransformedTargetRegressor(pipeline(theirs), transformer=StandardScaler())
        models = [
            ("ScratchMLPRegressor", pipeline(ours), OUR_GRID, "mlp__"),
            ("MLPRegressor", pipeline(theirs), THEIR_GRID, "mlp__"),
            ("MLPRegressor, y scaled", scaled, THEIR_GRID, "regressor__mlp__"),
        ]
    return [
        (name, model, search(model, grid, prefix, classify)) for name, model, grid, prefix in models
    ]


# %%
# Measurement
# -----------


def measure(model, X, y, classify):
    """Return the score and the loss of a fitted model on rows it has not seen."""
    predicted = model.predict(X)
    if not classify:
        return {"score": r2_score(y, predicted), "loss": root_mean_squared_error(y, predicted)}
    loss = log_loss(y, model.predict_proba(X), labels=model.classes_)
    return {"score": accuracy_score(y, predicted), "loss": loss}


def compare(data, X, y, classify):
    """Return a result for each outer fold, model and kind of settings."""
    results = []
    models = contenders(classify)
    for fold, (train, test) in enumerate(folds(N_OUTER, classify, random_state=0).split(X, y)):
        for settings in ("defaults", "searched"):
            for name, at_defaults, searched in models:
                model = at_defaults if settings == "defaults" else searched
                started = time.perf_counter()
                model.fit(X.iloc[train], y.iloc[train])
                seconds = time.perf_counter() - started
                result = {"data": data, "settings": settings, "model": name, "fold": fold}
                result |= measure(model, X.iloc[test], y.iloc[test], classify)
                results.append(result | {"seconds": seconds})
        models.append(models.pop(0))  # in the next fold another model begins
    return results


results = []
for data, load in LOADERS.items():
    started = time.perf_counter()
    X, y = load(return_X_y=True, as_frame=True)
    results += compare(data, X, y, classify=data != "diabetes")
    seconds = time.perf_counter() - started
    print(f"{data}: {X.shape[0]} rows, {X.shape[1]} features, done in {seconds:.0f} s", flush=True)
results = pd.DataFrame(results)

is_ours = results["model"].str.startswith("Scratch")
is_regression = results["data"] == "diabetes"
fit = [results[key] for key in ("data", "settings", "fold")]
results["ratio"] = results["seconds"] / results["seconds"].where(is_ours).groupby(fit).transform(
    "first"
)

# %%
# Table
# -----
#
# Scores and losses are means over the outer folds, plus or minus their standard deviation: accuracy
# and R2 should be high, log loss and RMSE low. A difference well within the spread is no
# difference. An R2 below 0 is worse than always predicting the mean.
#
# Fit time is that of one call of ``fit``, the median over the outer folds; for a search it covers
# all candidates on all inner folds, in two processes, and the last fit with the best candidate.
# "time / ours" divides it by the time of ours in the same fold, and is again a median: above 1,
# ours was faster. Both sides stop by themselves, so that the number of epochs is part of it.


def spread(values):
    """Return mean and standard deviation as text."""
    digits = 3 if values.mean() < 10 else 1
    return f"{values.mean():.{digits}f} ± {values.std():.{digits}f}"


def table(results, score, loss):
    """Return a row for each data set, kind of settings and model."""
    groups = results.groupby(["data", "settings", "model"], sort=False)
    columns = {
        score: groups["score"].agg(spread),
        loss: groups["loss"].agg(spread),
        "fit time, s": groups["seconds"].median().map("{:.2f}".format),
        "time / ours": groups["ratio"].median().map("{:.2f}".format),
    }
    return pd.DataFrame(columns)


print(f"\n{N_OUTER} outer folds; searched: {N_CANDIDATES} candidates on {N_INNER} inner folds\n")
print(table(results[~is_regression], "accuracy", "log loss").to_string(), end="\n\n")
print(table(results[is_regression], "R2", "RMSE").to_string(), end="\n\n")

# %%
# Figure
# ------
#
# The same, fold by fold, each model in one row on the left and on the right.

BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"  # also for color-blind readers


def style(model):
    """Return the model's color and marker."""
    if model.startswith("Scratch"):
        return BLUE, "o"
    return (GREEN, "D") if "scaled" in model else (ORANGE, "s")


def draw_score(axes, row, scores, model):
    """Draw one model's scores; those that are negative on average as an arrow and a number."""
    color, marker = style(model)
    mean, deviation = scores.mean(), scores.std()
    if mean < 0:
        across = axes.get_yaxis_transform()
        axes.plot(0.02, row, "<", color=color, transform=across)
        text = f"{mean:.2f} ± {deviation:.2f}, worse than always predicting the mean"
        axes.text(0.05, row, text, color=color, va="center", transform=across)
        return
    axes.errorbar(mean, row, xerr=deviation, fmt=marker, color=color, capsize=4, linewidth=2)
    axes.plot(scores, [row + 0.3] * len(scores), "|", color=color, markersize=7)


def draw_ratio(axes, row, ratios, model):
    """Draw one model's fit times relative to ours."""
    color, marker = style(model)
    axes.plot(ratios.median(), row, marker, color=color)
    if not model.startswith("Scratch"):
        axes.plot(ratios, [row + 0.3] * len(ratios), "|", color=color, markersize=7)


n_rows = [2 * part["model"].nunique() for _, part in results.groupby("data", sort=False)]
figure, grid = plt.subplots(
    len(LOADERS),
    2,
    figsize=(11, 10),
    width_ratios=(3, 2),
    height_ratios=n_rows,
    sharey="row",
    layout="constrained",
)
for (data, part), (left, right) in zip(results.groupby("data", sort=False), grid, strict=True):
    models = part.groupby(["settings", "model"], sort=False)
    for row, ((_, model), group) in enumerate(models):
        draw_score(left, row, group["score"], model)
        draw_ratio(right, row, group["ratio"], model)
    left.set_yticks(
        range(len(models)), [f"{model}, {settings}" for settings, model in models.groups]
    )
    for label, (_, model) in zip(left.get_yticklabels(), models.groups, strict=True):
        label.set_color(style(model)[0])
    left.set_ylim(len(models) - 0.4, -0.6)
    left.set_title(data, loc="left", fontweight="bold")
    left.set_xlabel("R2" if data == "diabetes" else "accuracy (share of rows predicted right)")
    right.set_xlim(0, 1.1 * results["ratio"].max())
    for axes in (left, right):
        axes.axhline(len(models) / 2 - 0.35, color="0.8", linewidth=1)
        axes.grid(axis="x", alpha=0.3)
    right.axvline(1, color=BLUE, linewidth=1)
grid[0, 0].set_title("Score on test rows\n(further right is better)")
grid[0, 1].set_title("Fit time, relative to ours\n(right of the line: slower than ours)")
grid[-1, 1].set_xlabel("fit time / fit time of ours, same fold")
figure.supxlabel(
    "Ticks: the outer folds. Markers: their mean, with a bar of one standard deviation to each "
    "side (left); their median (right).",
    fontsize="small",
)

if plt.get_backend().lower() == "agg":  # there is no screen
    figure.savefig("compare_with_mlpclassifier.png", dpi=120)
    print(f"Figure saved as {Path('compare_with_mlpclassifier.png').resolve()}")
else:
    plt.show()
