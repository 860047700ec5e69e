"""Time to reach scikit-learn's score on real data.

On each of three datasets scikit-learn's network is trained at its defaults to its own end, and its
final score on a test set is the bar. Then it is timed until a network first reaches the bar: ours
with scikit-learn's settings, ours as its constructor has it, and scikit-learn's own, trained again
epoch by epoch. Test scores are computed between epochs, off the clock, and the first epoch that is
good enough counts, for all alike. A network that ends below the bar "did not reach" it.

All get the same input: missing values filled in, categories one-hot, all scaled; a regression's
target is scaled too. Seeds change the split and the network.

    python docs/benchmarks/convergence.py FOLDER

The folder has a ``MANIFEST.csv`` with the columns ``name``, ``task`` and ``categorical_cols``
(names joined by "|"), and a ``NAME.csv.gz`` for each dataset, in which ``target`` is what to
predict.
"""

import sys
import time
import warnings
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, OneHotEncoder, StandardScaler

from _common import MISSING, describe, environment, finish, make_parser, number, table
from skscratch import ScratchMLPClassifier, ScratchMLPRegressor
from skscratch.callbacks import Callback

# Mixed columns and two classes, numbers and many classes, and a regression.
DATASETS = ("adult", "letter", "california_housing")
RIVALS = ("scikit-learn", "skscratch", "skscratch, defaults")
NOT_REACHED = "not reached"


def load(folder: Path, name: str) -> tuple[pd.DataFrame, pd.Series, list[str], str]:
    """Return features, target, names of the categorical features, and the task."""
    manifest = pd.read_csv(folder / "MANIFEST.csv").set_index("name")
    if name not in manifest.index:
        raise SystemExit(f"{name} is not in the manifest; it has {', '.join(manifest.index)}")
    entry = manifest.loc[name]
    columns = entry["categorical_cols"]
    categorical = columns.split("|") if isinstance(columns, str) else []
    X = pd.read_csv(folder / f"{name}.csv.gz", dtype=dict.fromkeys(categorical, object))
    return X, X.pop("target"), categorical, entry["task"]


def prepare(
    X: pd.DataFrame, y: pd.Series, categorical: list[str], task: str, seed: int, most: int | None
) -> tuple[np.ndarray, ...]:
    """Split the rows and bring them into the form that all networks get."""
    target = y.to_numpy()
    if task == "classification":
        target = LabelEncoder().fit_transform(target)
    rows = np.random.default_rng(seed).permutation(len(X))[:most]
    X_train, X_test, y_train, y_test = train_test_split(
        X.iloc[rows],
        target[rows],
        test_size=0.2,
        random_state=seed,
        stratify=target[rows] if task == "classification" else None,
    )
    numeric = [name for name in X if name not in categorical]
    transformer = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numeric),
        (
            make_pipeline(
                SimpleImputer(strategy="constant", fill_value="missing"),
                OneHotEncoder(handle_unknown="ignore", sparse_output=False),
                StandardScaler(),
            ),
            categorical,
        ),
    )
    X_train, X_test = transformer.fit_transform(X_train), transformer.transform(X_test)
    if task == "regression":
        mean, scale = y_train.mean(), y_train.std()
        y_train, y_test = (y_train - mean) / scale, (y_test - mean) / scale
    return X_train, X_test, y_train, y_test


class UntilScore(Callback):
    """Ends training once a test score is reached, and keeps the time."""

    def __init__(self, X_test: np.ndarray, y_test: np.ndarray, bar: float):
        self.X_test, self.y_test, self.bar = X_test, y_test, bar
        self.started = time.perf_counter()
        self.set_up: float | None = None
        self.reached: tuple[float, int] | None = None

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Note the time before the first epoch."""
        if context.task_name == "epoch" and self.set_up is None:
            self.set_up = time.perf_counter() - self.started

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, fitted_estimator: Any = None
    ) -> bool:
        """Score, off the clock, since `history_` has the seconds of the epochs alone."""
        if context.task_name != "epoch":
            return False
        if fitted_estimator.score(self.X_test, self.y_test) < self.bar:
            return False
        epochs = fitted_estimator.history_["seconds"]
        self.reached = self.set_up + sum(epochs), len(epochs)
        return True


def time_ours(estimator: Any, data: tuple[np.ndarray, ...], bar: float) -> tuple[float, int] | None:
    """Return the seconds and epochs of ours until it reaches the bar, None if it does not."""
    X_train, X_test, y_train, y_test = data
    watch = UntilScore(X_test, y_test, bar)
    estimator.set_callbacks(watch).fit(X_train, y_train)
    if watch.reached is None and estimator.score(X_test, y_test) >= bar:
        # Early stopping went back to an epoch that no callback has seen at the bar.
        return watch.set_up + sum(estimator.history_["seconds"]), estimator.n_iter_
    return watch.reached


def time_theirs(
    estimator: Any, data: tuple[np.ndarray, ...], bar: float, most: int
) -> tuple[float, int] | None:
    """Return the seconds and epochs of scikit-learn's until it reaches the bar.

    ``random_state`` has to be a RandomState, which goes on from call to call: the epochs are then
    those of a fit, and the last one is at the bar.
    """
    X_train, X_test, y_train, y_test = data
    arguments = {"classes": np.unique(y_train)} if isinstance(estimator, MLPClassifier) else {}
    seconds = 0.0
    for epoch in range(1, most + 1):
        started = time.perf_counter()
        estimator.partial_fit(X_train, y_train, **arguments)
        seconds += time.perf_counter() - started
        if estimator.score(X_test, y_test) >= bar:
            return seconds, epoch
    return None


def measure(folder: Path, name: str, seed: int, quick: bool) -> dict[str, Any]:
    """Return the bar, scikit-learn's time, and everyone's time to the bar."""
    X, y, categorical, task = load(folder, name)
    data = prepare(X, y, categorical, task, seed, 1_000 if quick else None)
    X_train, X_test, y_train, y_test = data
    theirs, ours = (
        (MLPClassifier, ScratchMLPClassifier)
        if task == "classification"
        else (MLPRegressor, ScratchMLPRegressor)
    )
    most = 5 if quick else 200
    settings = {"max_iter": most, "random_state": seed}
    estimator = theirs(**settings)
    started = time.perf_counter()
    estimator.fit(X_train, y_train)
    seconds = time.perf_counter() - started
    bar = estimator.score(X_test, y_test)
    same = {
        "hidden_layer_sizes": (100,),
        "activation": "relu",
        "init": "glorot_uniform",
        "optimizer": "adam",
        "l2": 1e-4,
        "dropout": 0.0,
        "normalization": None,
        "batch_size": 200,
        "feature_scaling": None,
        "learning_rate": 1e-3,
        "lr_schedule": "constant",
        "n_networks": 1,
        "early_stopping": False,
    }
    if task == "classification":
        same |= {"label_smoothing": 0.0, "calibrate": False}
    return {
        "data": name,
        "shape": X_train.shape,
        "task": task,
        "seed": seed,
        "bar": float(bar),
        "seconds": seconds,
        "epochs": estimator.n_iter_,
        "reached": {
            "scikit-learn": time_theirs(
                theirs(max_iter=most, random_state=np.random.RandomState(seed)),
                data,
                bar,
                estimator.n_iter_,
            ),
            "skscratch": time_ours(ours(**settings, **same), data, bar),
            "skscratch, defaults": time_ours(ours(random_state=seed), data, bar),
        },
    }


def summarize(saved: dict[str, Any]) -> str:
    """Return the table of a run."""
    rows = []
    records = saved["records"]
    for name in dict.fromkeys(record["data"] for record in records):
        runs = [record for record in records if record["data"] == name]
        n_rows, n_features = runs[0]["shape"]
        score = "accuracy" if runs[0]["task"] == "classification" else "R2"
        bar = f"{score} {median(run['bar'] for run in runs):.4f}"
        whole = median(run["seconds"] for run in runs)
        text = f"{name}, {n_rows:,} x {n_features}, {bar}"
        epochs = median(run["epochs"] for run in runs)
        rows.append([text, "scikit-learn, to its end", number(whole), f"{epochs:g}", "-", "-"])
        for rival in RIVALS:
            found = [run["reached"][rival] for run in runs]
            # A run that did not reach the bar counts as an endless one.
            seconds = median(one[0] if one else float("inf") for one in found)
            epochs = median(one[1] if one else float("inf") for one in found)
            reached = seconds < float("inf")
            rows.append(
                [
                    text,
                    rival,
                    number(seconds) if reached else NOT_REACHED,
                    f"{epochs:g}" if reached else "-",
                    number(whole / seconds) if reached else "-",
                    f"{sum(one is not None for one in found)} of {len(found)}",
                ]
            )
    header = ["data", "network", "seconds", "epochs", "faster than to its end", "runs that reached"]
    n_seeds = len({record["seed"] for record in records})
    return (
        f"Time to reach scikit-learn's final test score (medians of {n_seeds} seeds)\n\n"
        + table(header, rows)
    )


def main() -> None:
    """Measure all datasets and print the table."""
    parser = make_parser(__doc__, repeats=3)
    parser.add_argument("folder", type=Path, help="folder of the datasets")
    parser.add_argument(
        "--datasets", nargs="+", default=DATASETS, help=f"names (default: {' '.join(DATASETS)})"
    )
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.repeats = 1
    warnings.simplefilter("ignore")
    print(describe(environment()))
    if not arguments.folder.is_dir():
        raise SystemExit(f"The datasets are {MISSING}: there is no folder {arguments.folder}.")
    records = []
    for name in arguments.datasets:
        for seed in range(arguments.repeats):
            print(f"measuring {name}, seed {seed} ...", file=sys.stderr, flush=True)
            records.append(measure(arguments.folder, name, seed, arguments.quick))
    finish("convergence", arguments, records, summarize)


if __name__ == "__main__":
    main()
