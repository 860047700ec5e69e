"""Time of a grid search, and how good its winner is: ours beside scikit-learn's on the same grid.

24 candidates on breast cancer and on digits, each a pipeline of `StandardScaler` and classifier,
from the call of `GridSearchCV.fit` to its refitted winner. Three searches:

- scikit-learn's: `MLPClassifier` with five folds.
- Equal settings: one network of ours, with five folds. Both have the same layers, penalties,
  rates, batches, most epochs, tolerance and patience, without early stopping. When training stops
  depends on the loss, and so on the random weights: the mean number of epochs is shown, too.
- Out-of-fold scores: ours at its defaults, several networks, where each candidate is fitted once:
  `cv=AllRows(), scoring=out_of_fold_score`.

A quarter of the rows, drawn anew for each seed, is kept from the searches and tells how good the
winners are. Times are process times of one process. The interval is that of the paired differences
of the seeds (95 %, Student's t); "not worse" is a difference that it does not tell from 0.

The records are of three seeds (`--seeds 3`).

    OMP_NUM_THREADS=1 python docs/benchmarks/search.py
"""

import sys
import time
import warnings
from statistics import median
from typing import Any

import numpy as np
from scipy.stats import t as student
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from _common import describe, environment, finish, make_parser, number, table, verdict
from skscratch import ScratchMLPClassifier
from skscratch.model_selection import AllRows, out_of_fold_score

LOADERS = {"breast cancer": load_breast_cancer, "digits": load_digits}
GRID = {
    "hidden_layer_sizes": [(50,), (100,), (100, 50)],
    "l2": [1e-4, 1e-2],
    "learning_rate": [1e-3, 1e-2],
    "batch_size": [64, 200],
}
THEIR_NAMES = {"l2": "alpha", "learning_rate": "learning_rate_init"}
COMMON = {"tol": 1e-4, "n_iter_no_change": 10, "early_stopping": False}
THEIRS, EQUAL, OUT_OF_FOLD = NAMES = (
    "scikit-learn, five folds",
    "skscratch, equal settings, five folds",
    "skscratch, out-of-fold scores",
)
TARGETS = {
    EQUAL: {"breast cancer": 3.0, "digits": 4.0},
    OUT_OF_FOLD: {"breast cancer": 4.0, "digits": 4.0},
}


def score(pipeline: Pipeline, X: Any, y: Any) -> dict[str, float]:
    """Return accuracy and number of epochs, which has no other way into the results."""
    return {"accuracy": pipeline.score(X, y), "epochs": pipeline[-1].n_iter_}


def make_search(name: str, seed: int, quick: bool) -> GridSearchCV:
    """Return the search, not yet fitted."""
    settings = {**COMMON, "max_iter": 5 if quick else 200, "random_state": seed}
    grid = {key: values[:1] if quick else values for key, values in GRID.items()}
    folds = {"scoring": score, "refit": "accuracy", "cv": 2 if quick else 5}
    mlp: Any
    if name == OUT_OF_FOLD:
        mlp = ScratchMLPClassifier(random_state=seed)
        folds = {"scoring": out_of_fold_score, "cv": AllRows()}
    elif name == EQUAL:
        mlp = ScratchMLPClassifier(
            n_networks=1,
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
        **folds,
    )


def measure(name: str, data: str, seed: int, quick: bool) -> dict[str, Any]:
    """Make a search and return its time, its best score, and the winner's on the other rows."""
    X, y = LOADERS[data](return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.25, random_state=seed, stratify=y)
    search = make_search(name, seed, quick)
    started = time.process_time()
    search.fit(X, y)
    seconds = time.process_time() - started
    epochs = search.cv_results_.get("mean_test_epochs")
    return {
        "data": data,
        "name": name,
        "seed": seed,
        "seconds": seconds,
        "best": float(search.best_score_),
        "test": float(search.best_estimator_.score(X_test, y_test)),
        "epochs": None if epochs is None else float(epochs.mean()),
        "candidates": len(search.cv_results_["params"]),
        "winner": {key.removeprefix("mlp__"): value for key, value in search.best_params_.items()},
    }


def summarize(saved: dict[str, Any]) -> str:
    """Return the tables of a run."""
    records = saved["records"]
    seeds = sorted({record["seed"] for record in records})
    rows, aims = [], []
    for data in LOADERS:
        found = {
            name: [run for run in records if (run["data"], run["name"]) == (data, name)]
            for name in NAMES
        }
        times = {name: median(run["seconds"] for run in runs) for name, runs in found.items()}
        scores = {name: np.array([run["test"] for run in runs]) for name, runs in found.items()}
        for name, runs in found.items():
            epochs = [run["epochs"] for run in runs if run["epochs"] is not None]
            rows.append(
                [
                    f"{data}, {name}",
                    number(times[name]),
                    number(times[name] / times[THEIRS]),
                    f"{np.mean([run['best'] for run in runs]):.4f}",
                    f"{scores[name].mean():.4f}",
                    f"{median(epochs):.1f}" if epochs else "-",
                ]
            )
        for name, targets in TARGETS.items():
            faster = times[THEIRS] / times[name]
            wanted = targets[data]
            aims.append(
                [
                    f"{data}, {name}: times faster",
                    f">= {wanted:g}",
                    number(faster),
                    verdict(faster, low=wanted),
                ]
            )
        difference = scores[OUT_OF_FOLD] - scores[THEIRS]
        margin = 0.0
        if len(seeds) > 1:
            spread = difference.std(ddof=1) / len(seeds) ** 0.5
            margin = float(student.ppf(0.975, len(seeds) - 1) * spread)
        mean = float(difference.mean())
        aims.append(
            [
                f"{data}, {OUT_OF_FOLD}: the winner's accuracy minus theirs",
                "not worse",
                f"{mean:+.4f} ± {margin:.4f}",
                verdict(mean + margin, low=0.0),
            ]
        )
    return "\n\n".join(
        [
            f"Grid search, {records[0]['candidates']} candidates (median time and mean scores of "
            f"{len(seeds)} seeds)",
            table(
                [
                    "data",
                    "seconds",
                    "/ scikit-learn",
                    "best score of the search",
                    "the winner's accuracy on other rows",
                    "mean epochs of a fit",
                ],
                rows,
            ),
            "Targets, against scikit-learn",
            table(["what", "target", "found", ""], aims),
        ]
    )


def main() -> None:
    """Make all searches and print the tables."""
    arguments = make_parser(__doc__ or "", repeats=5, option="--seeds").parse_args()
    warnings.simplefilter("ignore")  # of each fit that did not converge
    print(describe(environment()), flush=True)
    for name in NAMES:
        measure(name, "breast cancer", 0, quick=True)  # what is paid for once
    records = []
    for seed in range(1 if arguments.quick else arguments.seeds):
        for data in LOADERS:
            for name in NAMES:
                records.append(measure(name, data, seed, arguments.quick))
                found = records[-1]
                print(
                    f"{data}, seed {seed}, {name}: {found['seconds']:.1f} s, best "
                    f"{found['best']:.4f}, test {found['test']:.4f}",
                    file=sys.stderr,
                    flush=True,
                )
    finish("search", arguments, records, summarize)


if __name__ == "__main__":
    main()
