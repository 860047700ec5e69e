"""
==============================================
What happens to one flower on its way through?
==============================================

A small network is not a black box: all of its 47 parameters fit into a picture, and each step of a
prediction, and of the learning from it, can be written down. What does it do with one flower?
"""

# %%
# A network that fits on a page
# -----------------------------
#
# Iris, four measurements and three species, and two hidden layers of four and three units.
# `summary` lists the layers, their parameters and what they cost.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split

from skscratch import ScratchMLPClassifier
from skscratch.inspection import NetworkDisplay, activations, gradient_check, summary, trace

iris = load_iris(as_frame=True)
X = iris.data
y = iris.target_names[iris.target]
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)
mlp = ScratchMLPClassifier(
    (4, 3),
    activation="tanh",
    n_networks=1,
    optimizer="adam",
    l2=0.1,
    batch_size=16,
    learning_rate=0.02,
    lr_schedule="cosine",
    max_iter=60,
    label_smoothing=0.0,
    feature_scaling="robust",
    calibrate=False,
    random_state=0,
).fit(X_train, y_train)
print(f"{mlp.score(X_test, y_test):.1%} of {len(y_test)} test flowers right\n")
summary(mlp)

# %%
# One flower, step by step
# ------------------------
#
# `trace` follows a flower from its measurements to the probabilities, the loss, the gradient of
# every weight, and the weights after one more step of training. Each step can be unfolded;
# ``print`` writes all of them as text, and so with the other reports here.

flower = X_test.iloc[[0]]
print(f"a {y_test[0]}: {flower.iloc[0].to_dict()}")
trace(mlp, flower, y_test[:1])

# %%
# These gradients can be trusted: `gradient_check` compares them with finite differences.

gradient_check(mlp, X_train, y_train)

# %%
# The picture
# -----------
#
# On the left is the network with its weights, on the right what its second hidden layer makes of
# the test flowers. The work is shared: unit 3 is positive for setosa and negative for the other two
# species, and units 1 and 2, which do nearly the same, tell virginica from the others. The output
# layer needs no more than that. Among the inputs the petals' measurements have the thickest lines.

figure, (left, right) = plt.subplots(
    1, 2, figsize=(13, 6), width_ratios=(3, 2), layout="constrained"
)
NetworkDisplay.from_estimator(mlp, ax=left)
outputs = activations(mlp, X_test)["activation 2"]
order = np.argsort(y_test, kind="stable")
image = right.imshow(outputs[order], cmap="PuOr", vmin=-1, vmax=1, aspect="auto")
borders = np.flatnonzero(y_test[order][1:] != y_test[order][:-1]) + 0.5
for border in borders:
    right.axhline(border, color="black")
places = np.diff(np.r_[-0.5, borders, len(y_test) - 0.5]) / 2 + np.r_[-0.5, borders]
right.set_yticks(places, np.unique(y_test), rotation=90, va="center")
right.set_xticks(range(3), ["unit 1", "unit 2", "unit 3"])
right.set(title="Second hidden layer's output", ylabel="test flowers, a row each")
figure.colorbar(image, ax=right, label="activation (tanh)")

if plt.get_backend().lower() == "agg":  # there is no screen
    figure.savefig("network_drawn.png", dpi=120)
    print(f"Figure saved as {Path('network_drawn.png').resolve()}")
else:
    plt.show()
