"""
=====================================
What does the first hidden layer see?
=====================================

A unit of the first hidden layer has a weight for each pixel of an image, so that its weights are an
image, too: of what the unit looks for. Are there strokes to be seen in them, and what does the
penalty on the weights have to do with that?
"""

# %%
# Two networks
# ------------
#
# Handwritten digits, 8 by 8 pixels. The two networks differ in the strength of the L2 penalty
# alone. The pixels have a common scale already, and ``feature_scaling=None`` leaves them so, since
# each weight should stand for its pixel as it is seen.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skscratch import ScratchMLPClassifier
from skscratch.inspection import WeightDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0, stratify=y)

models = {}
for l2 in (0.0, 0.3):
    models[l2] = ScratchMLPClassifier(
        (32,),
        activation="relu",
        n_networks=1,
        optimizer="adam",
        l2=l2,
        batch_size=64,
        learning_rate=3e-3,
        lr_schedule="cosine",
        max_iter=60,
        label_smoothing=0.0,
        feature_scaling=None,
        random_state=0,
    ).fit(X_train, y_train)
    W = models[l2].coefs_[0]
    print(
        f"l2={l2:g}: {models[l2].score(X_test, y_test):.1%} of test images right, "
        f"standard deviation of the first layer's weights {np.std(W):.2f}"
    )

# %%
# Weights as images
# -----------------
#
# Red pixels speak for the unit, blue ones against it. Without a penalty the weights keep much of
# the noise that they were drawn with: wherever it does no harm to the training images, nothing
# takes it away. At the images' left and right edges pixels are nearly always empty, and weights
# there stay what they were. The penalty draws to zero whatever does not serve the predictions. What
# remains are pieces of strokes beside the gaps that tell them from others: unit 22 on the right
# wants ink at the top and at the bottom, and none between. The clean weights do not predict better,
# rather a bit worse, but they can be read.

figure = plt.figure(figsize=(11, 5.4), layout="constrained")
for part, (l2, model) in zip(figure.subfigures(1, 2), models.items(), strict=True):
    WeightDisplay.from_estimator(model, kind="images", n_units=16, ax=part.subplots())
    penalty = f"penalty l2={l2:g}" if l2 else "no penalty"
    part.suptitle(f"{penalty}: {model.score(X_test, y_test):.1%} of test images right")

if plt.get_backend().lower() == "agg":  # there is no screen
    figure.savefig("digits_weights.png", dpi=120)
    print(f"Figure saved as {Path('digits_weights.png').resolve()}")
else:
    plt.show()
