"""What a fit costs around its steps: scikit-learn and ours on 100 rows, for one epoch.

One step of one network (100,) on 100 rows x 20 is nearly nothing, so the time is that of checks,
random streams, encoding and bookkeeping. Classifiers and regressors have the settings of
scikit-learn's. The regressor is there also with the target standardized, as it is by default, which
scikit-learn's does not do. Then what an epoch of five steps takes beyond them: the difference
between fits of 101 epochs and of one, less a hundred times five bare steps. Fits take turns, and
the least times count.

    OMP_NUM_THREADS=1 python docs/benchmarks/overhead.py
"""

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor

from _common import describe, environment, finish, make_parser, number, table, verdict
from fit import EQUAL_CLASSIFIER, EQUAL_SETTINGS
from skscratch import ScratchMLPClassifier, ScratchMLPRegressor
from skscratch.nn import Adam, Architecture, Batches, Network, ReLU
from skscratch.nn.losses import LogisticLogLoss
from skscratch.nn.step import Learner, train_step

STEPS_PER_EPOCH, EPOCHS = 5, 100


def make_fits() -> dict[str, Callable[[], Any]]:
    """Return a function that fits for each contestant."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((100, 20))
    classes, numbers = rng.integers(0, 2, 100), X[:, 0] + rng.standard_normal(100)
    theirs: dict[str, Any] = {"alpha": 1e-4, "tol": 0.0, "random_state": 0}
    one: dict[str, Any] = {"batch_size": 100, "max_iter": 1, "n_iter_no_change": 1}
    more = {
        "batch_size": 100 // STEPS_PER_EPOCH,
        "max_iter": EPOCHS + 1,
        "n_iter_no_change": EPOCHS + 1,
    }
    rates: dict[str, Any] = {"l2": 1e-4, "learning_rate": 1e-3}
    estimators: dict[str, tuple[Any, np.ndarray]] = {
        "scikit-learn, classifier": (MLPClassifier((100,), **theirs, **one), classes),
        "skscratch, classifier": (
            ScratchMLPClassifier((100,), **EQUAL_CLASSIFIER, **rates, **one),
            classes,
        ),
        "scikit-learn, regressor": (MLPRegressor(**theirs, **one), numbers),
        "skscratch, regressor": (
            ScratchMLPRegressor((100,), **EQUAL_SETTINGS, **rates, **one, standardize_target=False),
            numbers,
        ),
        "skscratch, regressor, target standardized": (
            ScratchMLPRegressor((100,), **EQUAL_SETTINGS, **rates, **one),
            numbers,
        ),
        "one epoch": (
            ScratchMLPClassifier((100,), **EQUAL_CLASSIFIER, **rates, **one | {"batch_size": 20}),
            classes,
        ),
        "epochs": (ScratchMLPClassifier((100,), **EQUAL_CLASSIFIER, **rates, **more), classes),
    }

    def fit(estimator: Any, y: np.ndarray) -> Callable[[], Any]:
        return lambda: estimator.fit(X, y)

    fits = {name: fit(*each) for name, each in estimators.items()}
    fits["steps"] = make_steps(X, classes)
    return fits


def make_steps(X: np.ndarray, y: np.ndarray) -> Callable[[], None]:
    """Return a function that makes the steps of all epochs but one, and nothing else."""
    Y = y.astype(np.float64)[:, np.newaxis]
    network = Network(Architecture([20, 100, 1], [ReLU()]))
    learner = Learner(network, LogisticLogLoss(), Adam(), 1e-3, l2=1e-4)
    batch = next(iter(Batches(X, Y, batch_size=100 // STEPS_PER_EPOCH)))
    workspace = learner.workspace(100 // STEPS_PER_EPOCH)

    def run() -> None:
        for _ in range(EPOCHS * STEPS_PER_EPOCH):
            train_step(learner, batch, workspace, 1e-3)

    return run


def summarize(saved: dict[str, Any]) -> str:
    """Return the tables of a run."""
    seconds = {name: min(values) for name, values in saved["records"].items()}
    rows, aims = [], []
    for kind in ("classifier", "regressor"):
        theirs, ours = seconds[f"scikit-learn, {kind}"], seconds[f"skscratch, {kind}"]
        rows.append([kind, number(1e3 * theirs), number(1e3 * ours), number(ours / theirs)])
        text = f"100 rows, one epoch, {kind}: ours over scikit-learn's"
        aims.append([text, "<= 1", number(ours / theirs), verdict(ours / theirs, high=1.0)])
    ours = seconds["skscratch, regressor, target standardized"]
    theirs = seconds["scikit-learn, regressor"]
    row = ["regressor, target standardized by ours alone", number(1e3 * theirs), number(1e3 * ours)]
    rows.append([*row, number(ours / theirs)])
    beyond = 1e6 * (seconds["epochs"] - seconds["one epoch"] - seconds["steps"]) / EPOCHS
    text = "an epoch beyond its steps, microseconds"
    aims.append([text, "<= 100", number(beyond), verdict(beyond, high=100.0)])
    return "\n\n".join(
        [
            "Milliseconds of a fit of 100 rows for one epoch (least)",
            table(["estimator", "scikit-learn", "skscratch", "ours / scikit-learn's"], rows),
            "Targets",
            table(["measure", "target", "found", ""], aims),
        ]
    )


def main() -> None:
    """Measure all, and print the tables."""
    arguments = make_parser(__doc__, repeats=100).parse_args()
    if arguments.quick:
        arguments.repeats = 1
    warnings.simplefilter("ignore")
    print(describe(environment()))
    fits = make_fits()
    seconds: dict[str, list[float]] = {name: [] for name in fits}
    for repeat in range(arguments.repeats + 1):
        for name, fit in fits.items():
            started = time.perf_counter()
            fit()
            if repeat:  # the first fit warms up
                seconds[name].append(time.perf_counter() - started)
    finish("overhead", arguments, seconds, summarize)


if __name__ == "__main__":
    main()
