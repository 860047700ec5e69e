"""
===========================================
Where does the gradient go? Initial weights
===========================================

On its way back through ten layers a gradient may fade until the first layers stand still, or units
may saturate from the start. Both may be decided before training begins, by the size of the random
weights. What happens with weights that are too small, right, and too large?
"""

# %%
# Three starts
# ------------
#
# Ten hidden layers of tanh on the handwritten digits, which differ in their initial weights alone:
# normal with a standard deviation of 0.01, as old tutorials have it; as Glorot and Bengio recommend
# [1]_; and with a standard deviation of 1. A `LayerMonitor` writes down after each epoch what the
# gradients do.
#
# .. [1] Glorot and Bengio (2010), "Understanding the difficulty of training deep feedforward neural
#    networks", AISTATS.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skscratch import SGD, Normal, ScratchMLPClassifier
from skscratch.inspection import GradientFlowDisplay, LayerMonitor

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0, stratify=y)

INITS = {
    "too small: std 0.01": Normal(std=0.01),
    "Glorot": "glorot_normal",
    "too large: std 1": Normal(std=1.0),
}
models = {}
for name, init in INITS.items():
    mlp = ScratchMLPClassifier(
        (32,) * 10,
        activation="tanh",
        n_networks=1,
        init=init,
        optimizer=SGD(momentum=0.9),
        l2=0.0,
        batch_size=64,
        learning_rate=0.02,
        lr_schedule="constant",
        max_iter=25,
        tol=0.0,
        n_iter_no_change=np.inf,
        label_smoothing=0.0,
        feature_scaling=None,
        calibrate=False,
        random_state=0,
    )
    models[name] = mlp.set_callbacks(LayerMonitor()).fit(X_train, y_train)
    print(f"{name:20} {mlp.score(X_test, y_test):.1%} of test images right")

# %%
# From layer to layer
# -------------------
#
# With small weights each layer shrinks both the signal on its way forward and the gradient on its
# way back, to about a twentieth. The first layers' gradients are 1e-15, which changes no digit of
# their weights: only the last layers learn, and they learn without having seen the image, since its
# signal does not reach them. With Glorot's weights the gradients of all layers are of one size.
# With large weights nearly all units sit where tanh is flat, which lets little of the gradient
# through, so that again it fades from the last layer to the first.

figure = plt.figure(figsize=(12, 7), layout="constrained")
panels = ["mean_gradient", "saturated_share"]
for part, (name, model) in zip(figure.subfigures(1, 3), models.items(), strict=True):
    axes = part.subplots(2, 1, sharex=True)
    GradientFlowDisplay.from_estimator(model, panels=panels, ax=axes)
    axes[0].set_ylim(1e-16, 1e1)
    axes[0].set(xlabel="", xlim=(0, 35))  # leaves room for the word at the right
    axes[0].set_xticks([1, 10, 20])
    part.suptitle(f"{name}: {model.score(X_test, y_test):.1%} of test images right")

if plt.get_backend().lower() == "agg":  # there is no screen
    figure.savefig("gradient_flow.png", dpi=120)
    print(f"Figure saved as {Path('gradient_flow.png').resolve()}")
else:
    plt.show()
