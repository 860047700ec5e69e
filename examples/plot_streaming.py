"""
==================================
Learning from a stream that drifts
==================================

Some data come in bits and never end, and what was true yesterday is not true today. ``partial_fit``
takes the bits as they come. Does a network that keeps learning notice that the world has changed,
and how soon?
"""

# %%
# The stream
# ----------
#
# Every minute brings 100 rows of two classes. The classes are two bent bands of points. For the
# first 60 minutes they stay as they are, then they turn by 120 degrees within 60 minutes, and at
# minute 160 they jump back.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons
from sklearn.linear_model import SGDClassifier

from skscratch import ScratchMLPClassifier

N_MINUTES, N_ROWS = 220, 100
TURN_START, TURN_END, JUMP = 60, 120, 160


def angle(minute):
    """Return by how many degrees the classes are turned."""
    if minute >= JUMP:
        return 0.0
    return 120 * np.clip((minute - TURN_START) / (TURN_END - TURN_START), 0, 1)


def rows_of(minute):
    """Return the rows of a minute."""
    X, y = make_moons(N_ROWS, noise=0.2, random_state=minute)
    turn = np.deg2rad(angle(minute))
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return (X - [0.5, 0.25]) @ rotation, y


# %%
# Three models
# ------------
#
# All have seen the first 20 minutes. One network then stays as it is, the other one goes on with
# one call of ``partial_fit`` a minute, and so does a linear model. They are tested on the rows of
# each minute before these are learned from, so that every row is a new one when it is tested.


def network():
    """Return an unfitted network."""
    return ScratchMLPClassifier(
        (32, 32),
        activation="relu",
        n_networks=1,
        optimizer="adam",
        batch_size=20,
        learning_rate=5e-3,
        lr_schedule="constant",
        label_smoothing=0.0,
        calibrate=False,
        random_state=0,
    )


models = {
    "network that learned once": network(),
    "network that keeps learning": network(),
    "linear model that keeps learning": SGDClassifier(loss="log_loss", random_state=0),
}
accuracy = {name: [] for name in models}
for minute in range(N_MINUTES):
    X, y = rows_of(minute)
    for name, model in models.items():
        if minute > 0:
            accuracy[name].append(model.score(X, y))
        if minute < 20 or name != "network that learned once":
            model.partial_fit(X, y, classes=[0, 1])

periods = {
    "before": (20, TURN_START),
    "turning": (TURN_START, TURN_END),
    "turned": (TURN_END, JUMP),
}
periods["after the jump"] = (JUMP, N_MINUTES)
print(f"{'accuracy':34}" + "".join(f"{period:>16}" for period in periods))
for name, values in accuracy.items():
    means = [np.mean(values[start - 1 : end - 1]) for start, end in periods.values()]
    print(f"{name:34}" + "".join(f"{mean:16.1%}" for mean in means))

# %%
# What happens
# ------------
#
# The network that keeps learning follows the turn without losing accuracy. The jump takes it by
# surprise: for some minutes it does worse than the linear model, which has less to unlearn, until
# the new rows have taught it. The network that learned once gets worse than guessing, and when the
# classes jump back to where they were, it is right at once, having forgotten nothing. Whether to
# forget is a question of the world, not of the network.

figure, (above, below) = plt.subplots(
    2, 1, figsize=(11, 6), height_ratios=(4, 1), sharex=True, layout="constrained"
)
minutes = np.arange(1, N_MINUTES)
window = np.ones(5) / 5
LOOKS = [("#D55E00", "--"), ("#0072B2", "-"), ("0.5", ":")]
for (name, values), (color, style) in zip(accuracy.items(), LOOKS, strict=True):
    smooth = np.convolve(values, window, mode="valid")
    above.plot(minutes[4:], smooth, color=color, linestyle=style, label=name)
above.axhline(0.5, color="0.4", linewidth=0.8)
above.annotate("guessing", (2, 0.51), color="0.4")
above.set(ylabel="accuracy on new rows\n(mean of five minutes)", ylim=(0, 1.03))
above.legend(loc="lower left", bbox_to_anchor=(0.0, 0.08))
below.plot(range(N_MINUTES), [angle(minute) for minute in range(N_MINUTES)], color="black")
below.set(xlabel="minute (100 rows each)", ylabel="turned by,\ndegrees", yticks=[0, 60, 120])
for axes in (above, below):
    axes.axvspan(0, 20, color="0.9", zorder=0)
    axes.grid(alpha=0.3)
below.annotate("all models learn", (10, 60), ha="center", va="center", fontsize="x-small")

if plt.get_backend().lower() == "agg":  # there is no screen
    figure.savefig("streaming.png", dpi=120)
    print(f"Figure saved as {Path('streaming.png').resolve()}")
else:
    plt.show()
