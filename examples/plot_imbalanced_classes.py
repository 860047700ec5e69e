"""
==================
Rare classes found
==================

One row in thirty is of the class that matters. A network that never answers with it is right in 97
% of all cases. Do class weights help, or the focal loss, or a threshold, and what do they cost?
"""

# %%
# Data and models
# ---------------
#
# Two clusters of the rare class lie among two of the frequent one. Four networks differ in how they
# treat the rare class:
#
# - not at all;
# - ``class_weight="balanced"`` gives its rows as much weight, altogether, as the others have;
# - the focal loss makes rows count less that are classified well already, most of which are
#   frequent;
# - `TunedThresholdClassifierCV` leaves the network as it is, and moves the probability above which
#   the answer is "rare", so that the balanced accuracy is largest in cross-validation.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    log_loss,
    precision_recall_curve,
    precision_score,
    recall_score,
)
from sklearn.model_selection import TunedThresholdClassifierCV, train_test_split

from skscratch import Focal, ScratchMLPClassifier

X, y = make_classification(
    n_samples=24_000,
    n_features=12,
    n_informative=6,
    n_redundant=2,
    weights=[0.97],
    flip_y=0.005,
    class_sep=1.2,
    random_state=0,
)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=4000, stratify=y, random_state=0
)
print(f"{y_train.mean():.1%} of {len(y_train)} training rows are of the rare class")

plain = ScratchMLPClassifier(
    (32, 32),
    activation="relu",
    n_networks=1,
    optimizer="adam",
    batch_size=128,
    learning_rate=2e-3,
    lr_schedule="cosine",
    max_iter=20,
    l2=0.1,
    label_smoothing=0.0,
    random_state=0,
)
models = {
    "plain": plain,
    "class weights": clone(plain).set_params(class_weight="balanced"),
    "focal loss": clone(plain).set_params(loss=Focal(gamma=2.0), calibrate=False),
    "tuned threshold": TunedThresholdClassifierCV(
        plain, scoring="balanced_accuracy", cv=3, random_state=0
    ),
}

# %%
# Results
# -------

METRICS = {
    "accuracy": accuracy_score,
    "balanced accuracy": balanced_accuracy_score,
    "recall": recall_score,
    "precision": precision_score,
}
results, probabilities = {}, {}
for name, model in models.items():
    answers = model.fit(X_train, y_train).predict(X_test)
    probabilities[name] = model.predict_proba(X_test)[:, 1]
    results[name] = {key: metric(y_test, answers) for key, metric in METRICS.items()}
    results[name]["average precision"] = average_precision_score(y_test, probabilities[name])
    results[name]["log loss"] = log_loss(y_test, probabilities[name])
table = pd.DataFrame(results).T
print(table.round(3).to_string())

# %%
# On the left, each curve is what a network can reach with any threshold, and the dot is where its
# own threshold puts it. Class weights and the tuned threshold find far more of the rare rows, which
# raises the balanced accuracy, at the price of false alarms: precision and plain accuracy fall. But
# class weights do not make the network know the classes better. Their curve even lies lowest here,
# since the few rare rows, with so much weight, are learned by heart, and the log loss tells that
# their probabilities are distorted. To move the threshold has much the same effect on the answers
# and leaves the probabilities as they are. The focal loss changes little here: curve and answers
# are close to the plain network's.

COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7"]
STYLES = ["-", "--", ":", "-."]
figure, (left, right) = plt.subplots(
    1, 2, figsize=(12, 4.8), width_ratios=(2, 3), layout="constrained"
)
for (name, row), color, style in zip(results.items(), COLORS, STYLES, strict=True):
    precision, recall, _ = precision_recall_curve(y_test, probabilities[name])
    label = f"{name} ({row['average precision']:.2f})"
    left.plot(recall, precision, color=color, linestyle=style, label=label)
    left.plot(row["recall"], row["precision"], "o", color=color, markersize=9, zorder=3)
left.set(
    title="Any threshold, and the one in use (dots)",
    xlabel="recall: share of the rare rows that is found",
    ylabel="precision: share of alarms that are right",
    xlim=(0, 1.02),
    ylim=(0, 1.02),
)
left.legend(title="network (average precision)", loc="lower left")
left.grid(alpha=0.3)

shown = list(METRICS)
width = 0.2
for i, ((name, row), color) in enumerate(zip(results.items(), COLORS, strict=True)):
    places = np.arange(len(shown)) + (i - 1.5) * width
    bars = right.bar(places, [row[key] for key in shown], width, color=color, label=name)
    right.bar_label(bars, fmt="%.2f", fontsize="small")
right.set_xticks(range(len(shown)), shown)
right.set(title="Answers on test rows", ylabel="score", ylim=(0, 1.08))
figure.legend(*right.get_legend_handles_labels(), loc="outside lower right", ncols=4)

if plt.get_backend().lower() == "agg":  # there is no screen
    figure.savefig("imbalanced_classes.png", dpi=120)
    print(f"Figure saved as {Path('imbalanced_classes.png').resolve()}")
else:
    plt.show()
