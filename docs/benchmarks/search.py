"""Time of a grid search, ours beside scikit-learn's on the same grid.

24 candidates by five folds in two processes, on breast cancer and on digits, from the call of
`GridSearchCV.fit` to its refitted best pipeline of `StandardScaler` and classifier. Both have the
same layers, penalties, rates, batches, most epochs, tolerance and patience, without early stopping.
When training stops depends on the loss, and so on the random weights: the mean number of epochs is
shown beside the time.

    python docs/benchmarks/search.py
"""

import os
import time
import warnings
from statistics import median
from typing import Any

from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from _common import describe, environment, finish, make_parser, number, table, verdict
from skscratch import ScratchMLPClassifier

LOADERS = {"breast cancer": load_breast_cancer, "digits": load_digits}
GRID = {
    "hidden_layer_sizes": [(50,), (100,), (100, 50)],
    "l2": [1e-4, 1e-2],
    "learning_rate": [1e-3, 1e-2],
    "batch_size": [64, 200],
}
THEIR_NAMES = {"l2": "alpha", "learning_rate": "learning_rate_init"}
COMMON = {"tol": 1e-4, "n_iter_no_change": 10, "early_stopping": False, "random_state": 0}
TARGET = 3.0


def score(pipeline: Pipeline, X: Any, y: Any) -> dict[str, float]:
    """Return accuracy and number of epochs, which has no other way into the results."""
    return {"accuracy": pipeline.score(X, y), "epochs": pipeline[-1].n_iter_}


def make_search(name: str, quick: bool) -> GridSearchCV:
    """Return the search, not yet fitted."""
    settings = {**COMMON, "max_iter": 5 if quick else 200}
    grid = {key: values[:1] if quick else values for key, values in GRID.items()}
    mlp: Any
    if name == "skscratch":
        mlp = ScratchMLPClassifier(
            activation="relu",
            init="glorot_uniform",  # scikit-learn's
            optimizer="adam",
            dropout=0.0,
            normalization=None,
            lr_schedule="constant",
            label_smoothing=0.0,
            feature_scaling=None,
            calibrate=False,
            **settings,
        )
    else:
        mlp = MLPClassifier(**settings)
        grid = {THEIR_NAMES.get(key, key): values for key, values in grid.items()}
    return GridSearchCV(
        Pipeline([("scale", StandardScaler()), ("mlp", mlp)]),
        {f"mlp__{key}": values for key, values in grid.items()},
        scoring=score,
        refit="accuracy",
        cv=2 if quick else 5,
        n_jobs=2,
    )


def measure(name: str, data: str, quick: bool) -> dict[str, Any]:
    """Make a search and return its time, best score and mean number of epochs."""
    X, y = LOADERS[data](return_X_y=True)
    search = make_search(name, quick)
    started = time.perf_counter()
    search.fit(X, y)
    seconds = time.perf_counter() - started
    return {
        "data": data,
        "name": name,
        "seconds": seconds,
        "accuracy": float(search.best_score_),
        "epochs": float(search.cv_results_["mean_test_epochs"].mean()),
        "candidates": len(search.cv_results_["params"]),
    }


def summarize(saved: dict[str, Any]) -> str:
    """Return the table of a run."""
    records = saved["records"]
    rows, aims = [], []
    for data in LOADERS:
        times = {}
        for name in ("scikit-learn", "skscratch"):
            runs = [run for run in records if (run["data"], run["name"]) == (data, name)]
            times[name] = median(run["seconds"] for run in runs)
            epochs = median(run["epochs"] for run in runs)
            rows.append(
                [
                    f"{data}, {name}",
                    number(times[name]),
                    number(times[name] / times["scikit-learn"]),
                    f"{runs[0]['accuracy']:.4f}",
                    f"{epochs:.1f}",
                ]
            )
        faster = times["scikit-learn"] / times["skscratch"]
        aims.append([data, f">= {TARGET:g}", number(faster), verdict(faster, low=TARGET)])
    n_runs = len(records) // (2 * len(LOADERS))
    return "\n\n".join(
        [
            f"Grid search, {records[0]['candidates']} candidates, two processes (median of "
            f"{n_runs})",
            table(
                ["data", "seconds", "/ scikit-learn", "best accuracy", "mean epochs of a fit"], rows
            ),
            "Targets",
            table(["scikit-learn's time over ours", "target", "found", ""], aims),
        ]
    )


def main() -> None:
    """Make all searches and print the table."""
    arguments = make_parser(__doc__, repeats=3).parse_args()
    if arguments.quick:
        arguments.repeats = 1
    # The worker processes would print the warnings of each fit that did not converge.
    os.environ["PYTHONWARNINGS"] = "ignore"
    warnings.simplefilter("ignore")
    print(describe(environment()))
    for name in ("scikit-learn", "skscratch"):
        measure(name, "breast cancer", quick=True)  # starts the processes, and imports there
    records = [
        measure(name, data, arguments.quick)
        for _ in range(arguments.repeats)
        for data in LOADERS
        for name in ("scikit-learn", "skscratch")
    ]
    finish("search", arguments, records, summarize)


if __name__ == "__main__":
    main()
