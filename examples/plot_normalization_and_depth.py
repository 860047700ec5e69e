"""
=======================================
How deep can it be? Batch normalization
=======================================

More layers can express more, if gradient descent gets through them. How deep may a network be
before it stops learning, and what do batch and layer normalization change about that?
"""

# %%
# The experiment
# --------------
#
# Handwritten digits and hidden layers of 32 ReLUs, trained for 15 epochs by gradient descent with
# momentum. The initial weights are too small, with a standard deviation of 0.1, so that the signal
# shrinks to about 0.4 of its size in each layer. He initialization draws them 2.5 times as large,
# which keeps the signal's size without any normalization. First the depth varies and the learning
# rate is 0.03, then the learning rate varies and there are three hidden layers. All of it with
# three random states.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skscratch import SGD, Normal, ScratchMLPClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0, stratify=y)

MODELS = {
    "small weights, no normalization": {"init": Normal(std=0.1), "normalization": None},
    "small weights, batch norm": {"init": Normal(std=0.1), "normalization": "batch"},
    "small weights, layer norm": {"init": Normal(std=0.1), "normalization": "layer"},
    "He's weights, no normalization": {"init": "he_normal", "normalization": None},
}
DEPTHS = [1, 2, 4, 8, 16]
RATES = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3]


def accuracies(depth, learning_rate, **params):
    """Return the test accuracy for each random state."""
    return [
        ScratchMLPClassifier(
            (32,) * depth,
            activation="relu",
            n_networks=1,
            optimizer=SGD(momentum=0.9),
            l2=0.0,
            batch_size=64,
            learning_rate=learning_rate,
            lr_schedule="cosine",
            max_iter=15,
            label_smoothing=0.0,
            feature_scaling=None,
            calibrate=False,
            random_state=seed,
            **params,
        )
        .fit(X_train, y_train)
        .score(X_test, y_test)
        for seed in range(3)
    ]


by_depth, by_rate = {}, {}
for name, params in MODELS.items():
    by_depth[name] = np.array([accuracies(depth, 0.03, **params) for depth in DEPTHS])
    by_rate[name] = np.array([accuracies(3, rate, **params) for rate in RATES])
for title, values, results in [
    ("Accuracy by number of hidden layers", DEPTHS, by_depth),
    ("Accuracy by learning rate", RATES, by_rate),
]:
    print(f"{title:35}" + "".join(f"{value:7g}" for value in values))
    for name, found in results.items():
        print(f"  {name:33}" + "".join(f"{mean:7.2f}" for mean in found.mean(axis=1)))

# %%
# What normalization changes
# --------------------------
#
# Small weights without normalization lose the signal: eight layers learn nothing at all, and three
# layers learn well in a narrow range of learning rates only. Normalization brings each layer's
# input back to its size, which makes up for the bad start, and lets learning rates work that differ
# by a factor of thirty. That is its strength. Depth is not: there are no gains from depth on this
# small task. With eight layers the initial weights that He recommends do better than batch norm,
# with sixteen about as well, while layer norm fails. The deep networks that live on normalization
# have shortcuts around their layers as well, which a plain multilayer perceptron has not.

figure, panels = plt.subplots(1, 2, figsize=(11, 5), sharey=True, layout="constrained")
LOOKS = [("#0072B2", "o-"), ("#D55E00", "s--"), ("#009E73", "^:"), ("black", "x-.")]
for panel, values, results in zip(panels, (DEPTHS, RATES), (by_depth, by_rate), strict=True):
    for (name, found), (color, style) in zip(results.items(), LOOKS, strict=True):
        panel.semilogx(values, found.mean(axis=1), style, color=color, label=name)
        low, high = found.min(axis=1), found.max(axis=1)
        panel.fill_between(values, low, high, color=color, alpha=0.12, linewidth=0)
    panel.axhline(0.1, color="0.4", linewidth=0.8)
    panel.set_xticks(values, map(str, values))
    panel.minorticks_off()
    panel.grid(alpha=0.3)
panels[0].annotate("guessing", (1, 0.115), color="0.4")
panels[0].set(
    title="Learning rate 0.03",
    xlabel="number of hidden layers",
    ylabel="accuracy on test images",
    ylim=(0, 1.03),
)
panels[1].set(title="Three hidden layers", xlabel="learning rate")
figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
figure.suptitle("Mean of three runs, and from the worst to the best of them")

if plt.get_backend().lower() == "agg":  # there is no screen
    figure.savefig("normalization_and_depth.png", dpi=120)
    print(f"Figure saved as {Path('normalization_and_depth.png').resolve()}")
else:
    plt.show()
