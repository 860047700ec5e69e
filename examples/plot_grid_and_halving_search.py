"""
===========================================
Searching hyperparameters: grid and halving
===========================================

A grid search trains every candidate to the end. Successive halving trains all of them for a few
epochs, and only the most promising ones for longer. How much time does that save, and does it find
candidates as good?
"""

# %%
# The grid
# --------
#
# 27 candidates for the handwritten digits, each of them four networks side by side. The optimizer
# is passed as an object, which opens its parameters to the search: ``optimizer__momentum``.

import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm
from sklearn.datasets import load_digits
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    StratifiedKFold,
    train_test_split,
)

from skscratch import SGD, ScratchMLPClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)

EPOCHS = 18
mlp = ScratchMLPClassifier(
    (32,),
    activation="relu",
    n_networks=4,
    optimizer=SGD(momentum=0.9),
    batch_size=64,
    lr_schedule="constant",
    max_iter=EPOCHS,
    label_smoothing=0.0,
    feature_scaling="robust",
    calibrate=False,
    tol=0.0,
    n_iter_no_change=np.inf,
    random_state=0,
)
grid = {
    "learning_rate": [0.003, 0.03, 0.3],
    "optimizer__momentum": [0.0, 0.8, 0.95],
    "l2": [0.001, 0.1, 1.0],
}
folds = StratifiedKFold(3, shuffle=True, random_state=0)

# %%
# Two searches
# ------------
#
# What halving gives out step by step may be any number among the parameters. Here it is epochs,
# ``max_iter``: all candidates get 2, the best third of them 6, and the best third of those 18.
# This is fair where the learning rate is constant. With a schedule that ends at ``max_iter``, the
# first epochs of a long run are not those of a short one.

searches = {
    "grid": GridSearchCV(mlp, grid, scoring="neg_log_loss", cv=folds),
    "halving": HalvingGridSearchCV(
        mlp,
        grid,
        scoring="neg_log_loss",
        cv=folds,
        resource="max_iter",
        factor=3,
        min_resources=EPOCHS // 9,
        max_resources=EPOCHS,
        random_state=0,
    ),
}
tables, seconds = {}, {}
for name, search in searches.items():
    start = time.perf_counter()
    search.fit(X_train, y_train)
    seconds[name] = time.perf_counter() - start
    tables[name] = pd.DataFrame(search.cv_results_)
    epochs = tables[name].get("n_resources", pd.Series(EPOCHS, tables[name].index)).sum()
    print(
        f"{name:8} {epochs:4} epochs a fold, {seconds[name]:4.1f} s, log loss "
        f"{-search.best_score_:.3f} in cross-validation, "
        f"{-search.score(X_test, y_test):.3f} on test images"
    )
    print(f"         {search.best_params_}")

# %%
# What they found
# ---------------
#
# Both choose the same candidate, halving with a third of the epochs. On the left is the grid, with
# the loss of the best penalty for each learning rate and momentum. On the right every line is a
# candidate, followed for as long as halving gave it epochs. That works because the best after 18
# epochs is among the best after 2 already. It need not be: where a good candidate starts slowly,
# halving drops it before it can show what it can do.

figure, (left, right) = plt.subplots(
    1, 2, figsize=(11, 4.6), width_ratios=(4, 5), layout="constrained"
)
table = -tables["grid"].pivot_table(
    "mean_test_score", "param_optimizer__momentum", "param_learning_rate", aggfunc="max"
)
left.imshow(table, cmap="viridis_r", norm=LogNorm(), origin="lower", aspect="auto")
for (row, column), loss in np.ndenumerate(table):
    left.text(column, row, f"{loss:.3f}", ha="center", va="center", backgroundcolor="white")
left.set_xticks(range(3), [f"{rate:g}" for rate in table.columns])
left.set_yticks(range(3), [f"{momentum:g}" for momentum in table.index])
left.set(
    title="Grid search: log loss in cross-validation", xlabel="learning rate", ylabel="momentum"
)

best = searches["halving"].best_params_
for values, rows in tables["halving"].groupby([f"param_{name}" for name in grid]):
    is_best = values == tuple(best[name] for name in grid)
    right.plot(
        rows["n_resources"],
        -rows["mean_test_score"],
        "o-",
        color="#D55E00" if is_best else "#56B4E9",
        linewidth=2.5 if is_best else 1,
        zorder=3 if is_best else 2,
        label="chosen" if is_best else None,
    )
right.plot([], [], "o-", color="#56B4E9", label="other candidates")
right.axhline(
    -searches["grid"].best_score_, color="black", linestyle="--", label="best of the grid search"
)
right.set(
    title="Successive halving",
    xlabel="epochs given to a candidate",
    ylabel="log loss in cross-validation",
    yscale="log",
    xticks=[2, 6, 18],
)
right.grid(alpha=0.3)
right.legend()

if plt.get_backend().lower() == "agg":  # there is no screen
    figure.savefig("grid_and_halving_search.png", dpi=120)
    print(f"Figure saved as {Path('grid_and_halving_search.png').resolve()}")
else:
    plt.show()
