"""
==========================================
What does a hidden layer know of the data?
==========================================

The last layer of a network is a linear model. All that the layers before it can do is to bring the
data into a form that a linear model can deal with. What does that form look like, and is it of use
to other models?
"""

# %%
# The network
# -----------
#
# Three small hidden layers on the handwritten digits. `HiddenLayerTransformer` makes a hidden layer
# a step of a pipeline; in a `FrozenEstimator` the network is not trained again.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skscratch import ScratchMLPClassifier
from skscratch.inspection import HiddenLayerTransformer

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0, stratify=y)
mlp = ScratchMLPClassifier(
    (64, 32, 16),
    activation="relu",
    n_networks=1,
    optimizer="adam",
    l2=0.1,
    batch_size=64,
    learning_rate=3e-3,
    lr_schedule="cosine",
    max_iter=40,
    label_smoothing=0.0,
    feature_scaling=None,
    random_state=0,
).fit(X_train, y_train)
print(f"the network itself: {mlp.score(X_test, y_test):.1%} of test images right\n")

representations = {"pixels": FunctionTransformer()}
for layer in range(3):
    name = f"hidden layer {layer + 1}"
    representations[name] = HiddenLayerTransformer(FrozenEstimator(mlp), layer=layer)

# %%
# Simple models on it
# -------------------
#
# Three models that know nothing of networks get the pixels, and then each layer's output: a linear
# model; the nearest neighbor of each image; and the nearest neighbor in the plane of the first two
# principal components, where most of what there is to know is lost.

models = {
    "linear": [LogisticRegression(max_iter=2000)],
    "neighbor": [KNeighborsClassifier(1)],
    "neighbor in the plane": [PCA(2), KNeighborsClassifier(1)],
}
scores = {
    name: [
        make_pipeline(representation, *steps).fit(X_train, y_train).score(X_test, y_test)
        for representation in representations.values()
    ]
    for name, steps in models.items()
}
print(f"{'':22}" + "".join(f"{name:>16}" for name in representations))
for name, values in scores.items():
    print(f"{name:22}" + "".join(f"{value:16.1%}" for value in values))

# %%
# Layer by layer
# --------------
#
# The planes of the first two hidden layers show the digits hardly better than that of the pixels.
# In the third they move apart: what tells them apart becomes what varies most, since this layer
# has learned with the labels, of which the pixels know nothing. But nothing is gained for
# models that see all of the numbers. Of the pixels, too, a linear model and the nearest neighbor
# know nearly all there is to know, and hidden layers cannot add what is not in the data. They help
# models where the pixels are far from what is asked for, which with these tidy images they are not.

figure = plt.figure(figsize=(12, 8.6), layout="constrained")
above, below = figure.subfigures(2, 1, height_ratios=(5, 5))
panels = above.subplots(1, 4)
digits = plt.get_cmap("tab10")
for panel, (name, representation) in zip(panels, representations.items(), strict=True):
    plane = make_pipeline(representation, PCA(2)).fit(X_train, y_train)
    points = plane.transform(X_test)
    panel.scatter(*points.T, s=5, color=digits(y_test), alpha=0.5)
    for digit in range(10):
        center = np.median(points[y_test == digit], axis=0)
        panel.annotate(
            str(digit),
            center,
            ha="center",
            va="center",
            fontweight="bold",
            bbox={"boxstyle": "circle,pad=0.15", "facecolor": "white", "edgecolor": digits(digit)},
        )
    n_dimensions = plane[-1].n_features_in_
    panel.set(title=f"{name} ({n_dimensions} numbers)", xticks=[], yticks=[])
    panel.set_xlabel("first principal component")
panels[0].set_ylabel("second principal component")
above.suptitle("Test images in the plane of the first two principal components")

panel = below.subplots()
LOOKS = [("#0072B2", "o-"), ("#D55E00", "s--"), ("#009E73", "^:")]
for (name, values), (color, style) in zip(scores.items(), LOOKS, strict=True):
    panel.plot(list(representations), values, style, color=color, label=name)
panel.set(ylabel="accuracy on test images", ylim=(0.45, 1.02), xlabel="what the model gets to see")
panel.grid(alpha=0.3)
panel.legend(loc="lower right")

if plt.get_backend().lower() == "agg":  # there is no screen
    figure.savefig("hidden_layer_features.png", dpi=120)
    print(f"Figure saved as {Path('hidden_layer_features.png').resolve()}")
else:
    plt.show()
