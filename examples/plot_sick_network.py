"""
==============================
Why does my network not learn?
==============================

A loss that does not fall has a dozen possible causes. `diagnose` looks for them, and says for each
what it has found, what that is compared with, and what to change. Does its advice help?
"""

# %%
# Four patients
# -------------
#
# Each of these networks has one thing wrong with it, which its name tells. Three are for the
# handwritten digits, one is for wine, whose features are of different sizes. All differ from a
# healthy network in that one thing.

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine

from skscratch import ScratchMLPClassifier
from skscratch.inspection import TrainingCurveDisplay, diagnose

digits = load_digits(return_X_y=True)
wine = load_wine(return_X_y=True)
base = ScratchMLPClassifier(
    (32, 16),
    activation="relu",
    n_networks=1,
    optimizer="momentum",
    batch_size=64,
    learning_rate=0.03,
    lr_schedule="constant",
    max_iter=30,
    tol=0.0,
    n_iter_no_change=np.inf,
    label_smoothing=0.0,
    feature_scaling="robust",
    calibrate=False,
    random_state=0,
)
patients = {
    "learning rate too large": (digits, clone(base).set_params(learning_rate=10.0)),
    "learning rate too small": (digits, clone(base).set_params(learning_rate=1e-5)),
    "twelve sigmoid layers": (
        digits,
        clone(base).set_params(hidden_layer_sizes=(32,) * 12, activation="logistic"),
    ),
    "features not scaled": (wine, clone(base).set_params(feature_scaling=None)),
}

# %%
# Diagnoses
# ---------
#
# This is the whole report on one of them. ``print`` shows it as text, and ``to_frame()`` makes a
# data frame of the findings.

diagnoses = {name: diagnose(mlp, *data) for name, (data, mlp) in patients.items()}
diagnoses["twelve sigmoid layers"]

# %%
# Causes are listed before their effects, so that the first finding is the one to treat first. A
# healthy network has none.

for name, diagnosis in diagnoses.items():
    first, *others = diagnosis.findings
    print(f"{name}\n    {first.name}: {first.remedy}")
    print(f"    also: {', '.join(finding.name for finding in others) or 'nothing'}")
print(f"a healthy network\n    findings: {diagnose(base, *digits).findings}")

# %%
# Treatment
# ---------
#
# What the first remedy says, and nothing else, is done to each of them. All four learn. Where a
# remedy gives a choice, one half is taken: SELU for the twelve layers, which stay twelve. The
# clipping belongs to it. Without, the network diverges from some first weights, and from others it
# goes on guessing.

treatments = {
    "learning rate too large": {
        "learning_rate": diagnoses["learning rate too large"].range_test.suggestion
    },
    "learning rate too small": {
        "learning_rate": diagnoses["learning rate too small"].range_test.suggestion
    },
    "twelve sigmoid layers": {"activation": "selu", "init": "auto", "clip_norm": 1.0},
    "features not scaled": {"feature_scaling": "robust"},
}
figure, panels = plt.subplots(1, 4, figsize=(14, 4), layout="constrained")
for panel, (name, (data, mlp)) in zip(panels, patients.items(), strict=True):
    treated = clone(mlp).set_params(**treatments[name])
    pair = {"sick": mlp.fit(*data), "treated": treated.fit(*data)}
    TrainingCurveDisplay.from_estimator(pair, panels="loss", log_scale=True, ax=panel)
    panel.set_title(name)
    panel.grid(alpha=0.3)
    remedy = ", ".join(
        f"{key}={value:.2g}" if isinstance(value, float) else f"{key}={value!r}"
        for key, value in treatments[name].items()
    )
    panel.set_xlabel(f"epoch\ntreated: {remedy}", fontsize="small")
    scores = {which: model.score(*data) for which, model in pair.items()}
    print(f"{name:25} accuracy {scores['sick']:5.1%} sick, {scores['treated']:6.1%} treated")

if plt.get_backend().lower() == "agg":  # there is no screen
    figure.savefig("sick_network.png", dpi=120)
    print(f"Figure saved as {Path('sick_network.png').resolve()}")
else:
    plt.show()
