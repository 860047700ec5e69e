"""
==================
A first comparison
==================

How do the networks here compare with scikit-learn's, on data that everybody knows? It takes about
ten seconds. :ref:`sphx_glr_auto_examples_plot_compare_with_mlpclassifier.py` asks the same of more
data, in more folds.
"""

# %%
# Two questions
# -------------
#
# **With the same settings**, how fast is it? `from_sklearn` takes over all settings of an
# `MLPClassifier`: one network of the same layers, the same optimizer, rate, batches and most
# epochs. Such networks predict alike, and only the time differs.
#
# **With its own defaults**, how good is it? These train eight networks side by side, keep the best
# epoch and calibrate the probabilities.

import time
from pathlib import Path

import matplotlib.pyplot as plt
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_digits
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from skscratch import ScratchMLPClassifier, ScratchMLPRegressor, compare, from_sklearn


def scaled(mlp):
    """Return a model that standardizes the features for mlp."""
    return make_pipeline(StandardScaler(), mlp)


def with_scaled_target(model):
    """Return a model that standardizes the target for another."""
    return TransformedTargetRegressor(model, transformer=StandardScaler())


# %%
# Handwritten digits, and the progress of diabetes
# ------------------------------------------------
#
# 1,797 images of 8 by 8 pixels are to be read; of 442 patients the progress of their disease in a
# year is to be predicted. Every model gets the same five folds. scikit-learn's networks get
# standardized features. `MLPRegressor` takes the target as it is, which is far from 0; so that this
# alone does not decide, it also runs with a standardized one, "y scaled". Matrix products get one
# thread each: with products this small a second one costs more than it brings.

classifier, regressor = MLPClassifier(), MLPRegressor()
MODELS = {
    "digits": {
        "skscratch": ScratchMLPClassifier(),
        "same settings": scaled(from_sklearn(classifier)),
        "MLPClassifier": scaled(classifier),
    },
    "diabetes": {
        "skscratch": ScratchMLPRegressor(),
        "same settings, y scaled": with_scaled_target(scaled(from_sklearn(regressor))),
        "MLPRegressor, y scaled": with_scaled_target(scaled(regressor)),
        "MLPRegressor": scaled(regressor),
    },
}
LOADERS = {"digits": load_digits, "diabetes": load_diabetes}

started = time.perf_counter()
comparisons = {}
for data, models in MODELS.items():
    print(f"\n{data}\n{'=' * len(data)}\n", flush=True)
    X, y = LOADERS[data](return_X_y=True)
    with threadpool_limits(1):
        comparisons[data] = compare(X, y, models, cv=5, n_repeats=1, random_state=0)
    times = comparisons[data].table["fit_time"]
    _, same, theirs, *_ = models
    print(f"\n{comparisons[data]}\n")
    ratio = times[theirs] / times[same]
    print(f"With the same settings, skscratch is {ratio:.1f} times as fast.")
print(f"\n{time.perf_counter() - started:.0f} seconds in all.")

# %%
# How to read it
# --------------
#
# "relative" is the time of a fit divided by that of skscratch's defaults. With the same settings,
# skscratch takes a fraction of scikit-learn's time; which fraction depends on the network, and
# :doc:`/benchmarks/speed` has seven sizes.
#
# A verdict says who is better only if chance would hardly explain the difference. Five folds of a
# small set leave wide intervals: no clear difference means that none was shown, not that there is
# none.

# %%
# Figure
# ------

figure = plt.figure(figsize=(11, 9), layout="constrained")
for part, (name, comparison) in zip(figure.subfigures(2), comparisons.items(), strict=True):
    part.suptitle(name, fontweight="bold")
    comparison.plot(part)

if plt.get_backend().lower() == "agg":  # there is no screen
    figure.savefig("first_comparison.png", dpi=120)
    print(f"Figure saved as {Path('first_comparison.png').resolve()}")
else:
    plt.show()
