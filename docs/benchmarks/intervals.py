"""Prediction intervals and sets: share of test rows that they hold, size, and time.

Regression: `predict_interval` beside MAPIE's cross-conformal intervals (CV+) of as many folds as
there are networks, around a single network of ours, and around all networks, which it then trains
as many times over. Classification: `predict_set`; singletons are sets of one class, and "hard" is
the share of the fifth of the test rows whose likeliest class is least likely. Width is in standard
deviations of the test targets. Times are of the processor, of fit and of the intervals.

    python docs/benchmarks/intervals.py FOLDER [--sets NAMES] [--rows 2500] [--seeds 3]
"""

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import KFold
from threadpoolctl import threadpool_limits

from _common import MISSING, describe, environment, make_parser, table
from _protocol import CLASSIFICATION, REGRESSION, choose, prepare, read_manifest
from _text import NAME as TEXT
from skscratch import ScratchMLPClassifier, ScratchMLPRegressor

try:
    from mapie.regression import CrossConformalRegressor
except ImportError:
    CrossConformalRegressor = None

LEVEL = 0.9
N_NETWORKS = 8
OURS, THEIRS, THEIRS_OF_ALL = "skscratch", "MAPIE, one network", "MAPIE, all networks"


def ours(random_state: int, X: Any, y: np.ndarray, X_test: Any) -> np.ndarray:
    """Return our intervals."""
    reg = ScratchMLPRegressor(n_networks=N_NETWORKS, random_state=random_state).fit(X, y)
    return reg.predict_interval(X_test, confidence_level=LEVEL)


def mapie(n_networks: int) -> Callable[..., np.ndarray]:
    """Return what makes MAPIE's intervals around so many networks."""

    def intervals(random_state: int, X: Any, y: np.ndarray, X_test: Any) -> np.ndarray:
        reg = ScratchMLPRegressor(n_networks=n_networks, random_state=random_state)
        cv = KFold(N_NETWORKS, shuffle=True, random_state=random_state)
        around = CrossConformalRegressor(reg, confidence_level=LEVEL, method="plus", cv=cv)
        return around.fit_conformalize(X, y).predict_interval(X_test)[1][:, :, 0]

    return intervals


SYSTEMS = {OURS: ours}
if CrossConformalRegressor is not None:
    SYSTEMS |= {THEIRS: mapie(1), THEIRS_OF_ALL: mapie(N_NETWORKS)}


def measure_intervals(name: str, data: Any, n_rows: int, seed: int) -> tuple[float, float, float]:
    """Return coverage, width and seconds of a system's intervals on a set."""
    X, y, X_test, y_test = data.X_train[True], data.y_train, data.X_test[True], data.y_test
    started = time.process_time()
    low, high = SYSTEMS[name](seed, X[:n_rows], y[:n_rows], X_test).T
    seconds = time.process_time() - started
    inside = (low <= y_test) & (y_test <= high)
    return float(inside.mean()), float((high - low).mean() / y_test.std()), seconds


def measure_sets(data: Any, n_rows: int, seed: int) -> tuple[float, ...]:
    """Return accuracy, coverage, size, shares of empty sets and singletons, coverage if hard."""
    X, y, X_test, y_test = data.X_train[True], data.y_train, data.X_test[True], data.y_test
    clf = ScratchMLPClassifier(n_networks=N_NETWORKS, random_state=seed).fit(X[:n_rows], y[:n_rows])
    inside = clf.predict_set(X_test, confidence_level=LEVEL)
    sizes, P = inside.sum(axis=1), clf.predict_proba(X_test)
    # A class that none of the rows to train on has is in no set.
    covered = np.any(inside & (clf.classes_ == y_test[:, np.newaxis]), axis=1)
    surest = P.max(axis=1)
    hard = surest <= np.quantile(surest, 0.2)
    accuracy = np.mean(clf.classes_[P.argmax(axis=1)] == y_test)
    shares = (covered.mean(), sizes.mean(), np.mean(sizes == 0), np.mean(sizes == 1))
    return tuple(map(float, (accuracy, *shares, covered[hard].mean())))


def mean_rows(rows: list[tuple[str, ...]], n_names: int) -> tuple[str, ...]:
    """Return the means of the columns of numbers, as a row."""
    means = np.mean([[float(cell) for cell in row[n_names:]] for row in rows], axis=0)
    return tuple(f"{mean:.3f}" for mean in means)


def main() -> None:
    """Measure, and print both tables."""
    parser = make_parser(__doc__ or "", repeats=3, option="--seeds")
    parser.add_argument("folder", type=Path, help="folder of the sets")
    parser.add_argument("--sets", help="names, separated by commas (default: all)")
    parser.add_argument("--rows", type=int, default=2_500, help="most rows to train on")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    manifest = read_manifest(arguments.folder)
    names = [name for name in choose(manifest, arguments.sets, arguments.quick) if name != TEXT]
    seeds = range(1 if arguments.quick else arguments.seeds)
    found: dict[str, list[tuple[str, ...]]] = {REGRESSION: [], CLASSIFICATION: []}
    with threadpool_limits(limits=1):
        for name in names:
            task = manifest.loc[name, "task"]
            data = [prepare(arguments.folder, name, seed, arguments.quick) for seed in seeds]
            for system in SYSTEMS if task == REGRESSION else (OURS,):
                runs = [
                    measure_intervals(system, each, arguments.rows, seed)
                    if task == REGRESSION
                    else measure_sets(each, arguments.rows, seed)
                    for seed, each in zip(seeds, data, strict=True)
                ]
                label = (name, system) if task == REGRESSION else (name,)
                found[task].append((*label, *(f"{m:.3f}" for m in np.mean(runs, axis=0))))
                print(*found[task][-1], flush=True)
    print(f"\n{describe(environment())}\n")
    if found[REGRESSION]:
        means = [
            ("mean", system, *mean_rows([row for row in found[REGRESSION] if row[1] == system], 2))
            for system in SYSTEMS
        ]
        header = ("set", "system", "coverage", "width", "seconds")
        print(table(header, [*found[REGRESSION], *means]))
        if CrossConformalRegressor is None:
            print(f"mapie is {MISSING}.")
    if found[CLASSIFICATION]:
        header = ("set", "accuracy", "coverage", "size", "empty", "singletons", "hard")
        rows = found[CLASSIFICATION]
        print("\n" + table(header, [*rows, ("mean", *mean_rows(rows, 1))]))


if __name__ == "__main__":
    main()
