"""
=====================================
Would more data help? Learning curves
=====================================

More rows, or a better model? A learning curve answers: the score over the number of rows that a
model is trained on. How do our defaults fare from few rows to many, beside scikit-learn's network
and a linear model?
"""

# %%
# Curves
# ------
#
# The handwritten digits, shuffled and split three times into a test part of 500 images and the
# rest, of which 50 to 1290 are trained on. Both networks are as their constructors leave them, but
# for the random state. Beside ours, which scales the features itself, the others stand behind a
# `StandardScaler`.

from pathlib import Path

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LearningCurveDisplay, StratifiedShuffleSplit
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skscratch import ScratchMLPClassifier

X, y = load_digits(return_X_y=True)
models = {
    "ScratchMLPClassifier": ScratchMLPClassifier(random_state=0),
    "MLPClassifier": make_pipeline(StandardScaler(), MLPClassifier(max_iter=400, random_state=0)),
    "LogisticRegression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
}
SIZES = [50, 150, 450, 1290]
splits = StratifiedShuffleSplit(3, test_size=500, random_state=0)

# %%
# The figure
# ----------
#
# The digits are nearly linear in their pixels: with few images logistic regression is as good as
# scikit-learn's network, and only with many falls behind. Ours is eight networks, each without
# another eighth of the images, and their mean is ahead everywhere: where images are few, single
# networks differ most, and averaging helps most. The bands tell how much luck there is in so few
# images. All curves still rise at their right end, so that more images would help.

COLORS = ["#0072B2", "#D55E00", "#009E73"]
figure, panel = plt.subplots(figsize=(9, 5.2), layout="constrained")
print(f"{'rows of training':22}" + "".join(f"{size:7}" for size in SIZES))
for (name, model), color, style in zip(models.items(), COLORS, ("o-", "s--", "^:"), strict=True):
    display = LearningCurveDisplay.from_estimator(
        model,
        X,
        y,
        train_sizes=SIZES,
        cv=splits,
        score_type="test",
        line_kw={"color": color, "marker": style[0], "linestyle": style[1:]},
        fill_between_kw={"color": color, "alpha": 0.15},
        ax=panel,
    )
    display.lines_[0].set_label(name)
    print(f"{name:22}" + "".join(f"{score:7.3f}" for score in display.test_scores.mean(axis=1)))
panel.set_xscale("log")
panel.set_xticks(SIZES, map(str, SIZES))
panel.minorticks_off()
panel.set(
    title="Mean of three splits ± standard deviation",
    xlabel="rows of training",
    ylabel="accuracy on 500 test images",
)
panel.grid(alpha=0.3)
panel.legend()

if plt.get_backend().lower() == "agg":  # there is no screen
    figure.savefig("learning_curve.png", dpi=120)
    print(f"Figure saved as {Path('learning_curve.png').resolve()}")
else:
    plt.show()
