"""
=========================================
A data frame with numbers, words and gaps
=========================================

How does a raw data frame get into a network, with numbers, words and missing values side by side?
And is it worth the trouble: what do the columns of words tell, and how many gaps can be filled
before the predictions suffer?
"""

# %%
# The frame
# ---------
#
# 442 diabetes patients, real ones, who come with scikit-learn as numbers only. So that the frame
# looks like one from a clinic, three columns are turned into words here: the sex (the source does
# not say which code is which), and two measurements that are often noted as a class, the body mass
# index in the classes of the World Health Organization, and the blood pressure. Nor are any values
# missing: a share of them is deleted at random. To be predicted is whether the disease progresses
# faster than in half of the patients.

import textwrap
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_diabetes
from sklearn.impute import SimpleImputer
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skscratch import ScratchMLPClassifier

patients, progress = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
y = np.where(progress > progress.median(), "fast", "slow")
complete = patients.assign(
    sex=patients["sex"].map({1: "code 1", 2: "code 2"}),
    bmi=pd.cut(
        patients["bmi"],
        [0, 18.5, 25, 30, np.inf],
        right=False,
        labels=["underweight", "normal", "overweight", "obese"],
    ),
    bp=pd.cut(patients["bp"], [0, 85, 100, np.inf], labels=["low", "middle", "high"]).astype(str),
)
WORDS = ["sex", "bmi", "bp"]
NUMBERS = [column for column in complete if column not in WORDS]


def with_gaps(share, random_state):
    """Return the frame without a share of its values."""
    rng = np.random.default_rng(random_state)
    return complete.mask(rng.random(complete.shape) < share)


X = with_gaps(0.1, random_state=0)
print(X.head().to_string(), end="\n\n")

# %%
# As it is
# --------
#
# A network multiplies and adds. Words and gaps it refuses, rather than guess what they mean.

for name, columns in [("words and gaps", WORDS + NUMBERS), ("gaps", NUMBERS)]:
    try:
        ScratchMLPClassifier().fit(X[columns], y)
    except ValueError as error:
        print(textwrap.fill(f"{name}: {error}", 88), end="\n\n")

# %%
# Through a column transformer
# ----------------------------
#
# scikit-learn's ``ColumnTransformer`` treats columns by their type. Numbers get their column's
# median where they are missing, and a common scale; each word gets a column of zeros and ones, and
# so does a missing one. What it learns, medians, scales and words, it learns from the rows of
# training alone, since it is a part of the model. A word that it meets only later gets zeros.

to_numbers = make_column_transformer(
    (
        make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
        make_column_selector(dtype_include="number"),
    ),
    (OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_exclude="number")),
)
mlp = ScratchMLPClassifier(
    (16,),
    activation="relu",
    n_networks=1,
    init="he_normal",
    optimizer="adam",
    l2=1.0,
    dropout=0.0,
    batch_size=64,
    learning_rate=0.01,
    lr_schedule="cosine",
    max_iter=30,
    random_state=0,
    dtype="float64",
)
model = make_pipeline(to_numbers, mlp)

model.fit(X, y)
print(f"{X.shape[1]} columns became {model[-1].n_features_in_} inputs:")
print(textwrap.fill(", ".join(model[0].get_feature_names_out()), 88), end="\n\n")
model

# %%
# What the words tell, and what gaps cost
# ---------------------------------------
#
# Five folds, five times over, on the frame without words, with words only, and with both; and for
# each share of gaps, drawn anew each time, once with the gaps filled as above and once with what is
# often done instead: rows with a gap are left out of training. Patients to be predicted have gaps
# in both cases, which are filled.

SHARES = [0.0, 0.05, 0.1, 0.2, 0.3, 0.5]
N_FOLDS = 5
FOLDS = list(RepeatedStratifiedKFold(n_splits=N_FOLDS, n_repeats=5, random_state=0).split(y, y))
LEAST_ROWS = 20


def scores(columns=WORDS + NUMBERS, share=0.0, drop=False):
    """Return the accuracy in each fold, NaN where too few rows are left to train on."""
    found = []
    for fold, (train, test) in enumerate(FOLDS):
        X = with_gaps(share, random_state=fold // N_FOLDS)[columns]
        if drop:
            train = train[X.iloc[train].notna().all(axis=1)]
        if len(train) < LEAST_ROWS:
            return np.full(len(FOLDS), np.nan)
        found.append(clone(model).fit(X.iloc[train], y[train]).score(X.iloc[test], y[test]))
    return np.array(found)


filled = [scores(share=share) for share in SHARES]
dropped = [scores(share=share, drop=True) for share in SHARES]
by_columns = {"numbers": scores(NUMBERS), "words": scores(WORDS), "both": filled[0]}

for name, values in by_columns.items():
    print(f"{name:8} accuracy {values.mean():.3f} ± {values.std():.3f}")
gains = by_columns["both"] - by_columns["numbers"]
print(f"both minus numbers, fold by fold: {gains.mean():+.3f} ± {gains.std():.3f},", end=" ")
print(f"above 0 in {np.sum(gains > 0)} of {len(gains)}")
print("\nshare of gaps  rows without  accuracy, filled  accuracy, rows dropped")
for share, with_fill, with_drop in zip(SHARES, filled, dropped, strict=True):
    whole = with_gaps(share, random_state=0).notna().all(axis=1).mean()
    print(f"{share:13.0%}{whole:14.0%}{with_fill.mean():18.3f}{with_drop.mean():24.3f}")

# %%
# The words tell something that the numbers do not. Filling the gaps costs a point or two of
# accuracy even where nearly a third of the values is missing, while dropping rows soon leaves too
# few: with ten columns, a fifth of the values missing leaves about a tenth of the rows.

# %%
# The figure
# ----------

BLUE, ORANGE = "#0072B2", "#D55E00"  # also for color-blind readers
figure, (left, right) = plt.subplots(
    1, 2, figsize=(11, 4.5), width_ratios=(2, 3), sharey=True, layout="constrained"
)
for column, values in enumerate(by_columns.values()):
    left.plot([column - 0.15] * len(values), values, "_", color="0.6", markersize=10)
    left.errorbar(column, values.mean(), yerr=values.std(), fmt="o", color=BLUE, capsize=4)
counts = [len(NUMBERS), len(WORDS), complete.shape[1]]
left.set_xticks(
    range(3), [f"{name}\n({n} columns)" for name, n in zip(by_columns, counts, strict=True)]
)
left.set_xlim(-0.6, 2.5)
left.set(title="Which columns, without gaps", ylabel="accuracy on patients held out")

lines = [
    ("gaps are filled", filled, BLUE, "o"),
    ("rows with gaps are dropped", dropped, ORANGE, "s"),
]
for name, values, color, marker in lines:
    means, deviations = np.mean(values, axis=1), np.std(values, axis=1)
    right.plot(SHARES, means, marker=marker, color=color, label=name)
    right.fill_between(SHARES, means - deviations, means + deviations, color=color, alpha=0.15)
last = np.flatnonzero(np.isfinite(means))[-1]
right.annotate(
    "almost no rows left",
    (SHARES[last], means[last]),
    xytext=(12, -4),
    textcoords="offset points",
    color=ORANGE,
)
right.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
right.set(title="Gaps in all columns", xlabel="share of values that are missing")
right.legend(frameon=False, loc=(0.02, 0.12))
for axes in (left, right):
    axes.axhline(0.5, color="0.4", linestyle=":", linewidth=1)
    axes.grid(axis="y", alpha=0.3)
right.annotate("guessing", (0.5, 0.505), ha="right", color="0.4")
figure.supxlabel(
    "Bars, bands: one standard deviation of the folds to each side. Gray: the folds.",
    fontsize="small",
)

if plt.get_backend().lower() == "agg":  # there is no screen
    figure.savefig("mixed_data_frame.png", dpi=120)
    print(f"\nFigure saved as {Path('mixed_data_frame.png').resolve()}")
else:
    plt.show()
