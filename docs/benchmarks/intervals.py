"""Prediction intervals and sets: share of test rows that they hold, size, and time.

Regression: `predict_interval` beside MAPIE's cross-conformal intervals (CV+) of as many folds as
there are networks, around a single network of ours, and around all networks, which it then trains
as many times over. Classification: `predict_set`; singletons are sets of one class, and "hard" is
the share of the fifth of the test rows whose likeliest class is least likely. Width is in standard
deviations of the test targets. Times are of the processor, of fit and of the intervals.

    python docs/benchmarks/intervals.py FOLDER [--sets NAMES] [--rows 2500] [--seeds 3]

The records are of the defaults before the third layer: two layers, 32 epochs or 400 steps.

MAPIE is to be installed by `pip install mapie`. At most 2,500 rows train; the halves are those of
``quality.py``.
"""

import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import KFold
from threadpoolctl import threadpool_limits

from _common import MISSING, describe, environment, finish, make_parser, number, table, verdict
from _protocol import CLASSIFICATION, REGRESSION, choose, prepare, read_sets
from _text import NAME as TEXT
from skscratch import ScratchMLPClassifier, ScratchMLPRegressor

try:
    from mapie.regression import CrossConformalRegressor
except ImportError:
    CrossConformalRegressor = None

LEVEL = 0.9
N_NETWORKS = 8
OURS, THEIRS, THEIRS_OF_ALL = "skscratch", "MAPIE, one network", "MAPIE, all networks"
MEASURES = {
    REGRESSION: ("coverage", "width", "seconds"),
    CLASSIFICATION: ("accuracy", "coverage", "size", "empty", "singletons", "hard"),
}
LOWEST, MEAN = 0.86, (0.88, 0.93)
"""What the coverage of a set, and the mean over the sets, should be."""


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


def measure(system: str, task: str, data: Any, n_rows: int, seed: int) -> dict[str, float]:
    """Return what a run found, by name."""
    if task == REGRESSION:
        found: tuple[float, ...] = measure_intervals(system, data, n_rows, seed)
    else:
        found = measure_sets(data, n_rows, seed)
    return dict(zip(MEASURES[task], found, strict=True))


def means(records: list[dict[str, Any]], task: str) -> list[float]:
    """Return the mean of each measure."""
    return [float(np.mean([record[name] for record in records])) for name in MEASURES[task]]


def tables(records: list[dict[str, Any]], task: str) -> list[str]:
    """Return the means of all sets, and those of each."""
    systems = list(dict.fromkeys(record["system"] for record in records))
    overall, each = [], []
    for system in systems:
        runs = [record for record in records if record["system"] == system]
        overall.append([system, *(f"{mean:.3f}" for mean in means(runs, task))])
    for name in dict.fromkeys(record["data"] for record in records):
        for system in systems:
            runs = [r for r in records if (r["data"], r["system"]) == (name, system)]
            if runs:
                label = f"{name}, {system}" if task == REGRESSION else name
                each.append([label, *(f"{mean:.3f}" for mean in means(runs, task))])
    kind = "Intervals" if task == REGRESSION else "Sets of classes"
    header = f"{len({record['data'] for record in records})} sets"
    return [
        f"{kind} at {LEVEL:g}, mean of all sets",
        table([header, *MEASURES[task]], overall),
        "Set by set",
        table(["set", *MEASURES[task]], each),
    ]


def aims(records: list[dict[str, Any]]) -> list[list[str]]:
    """Return the targets, and whether they are met."""
    rows = []
    wanted = f"{MEAN[0]:g} to {MEAN[1]:g}"
    for task, name in ((REGRESSION, "intervals"), (CLASSIFICATION, "sets of classes")):
        runs = [r for r in records if r["task"] == task and r["system"] == OURS]
        if not runs:
            continue
        by_set = {r["data"]: [] for r in runs}
        for run in runs:
            by_set[run["data"]].append(run["coverage"])
        covered = {data: float(np.mean(values)) for data, values in by_set.items()}
        mean = float(np.mean(list(covered.values())))
        rows.append([f"{name}, coverage", wanted, number(mean), verdict(mean, *MEAN)])
        if task == REGRESSION:
            data = min(covered, key=covered.__getitem__)
            text = f"{number(covered[data])} ({data})"
            rows.append([f"{name}, lowest", f">= {LOWEST}", text, verdict(covered[data], LOWEST)])
    for rival in (THEIRS, THEIRS_OF_ALL):
        pairs = {
            system: {(r["data"], r["seed"]): r for r in records if r["system"] == system}
            for system in (OURS, rival)
        }
        if pairs[rival]:
            both = pairs[OURS].keys() & pairs[rival].keys()
            ratios = [pairs[OURS][run]["width"] / pairs[rival][run]["width"] for run in both]
            mean = float(np.exp(np.log(ratios).mean()))
            rows.append([f"width / that of {rival}", "<= 1", number(mean), verdict(mean, high=1)])
    return rows


def summarize(saved: dict[str, Any]) -> str:
    """Return the tables of a run."""
    records = saved["records"]
    seeds = sorted({record["seed"] for record in records})
    parts = [
        f"Seeds {', '.join(map(str, seeds))}; at most {max(r['n_train'] for r in records):,} rows "
        "to train on.",
        table(["target", "wanted", "found", ""], aims(records)),
    ]
    for task in (REGRESSION, CLASSIFICATION):
        found = [record for record in records if record["task"] == task]
        parts += tables(found, task) if found else []
    if all(record["system"] == OURS for record in records):
        parts.append(f"MAPIE is {MISSING}.")
    return "\n\n".join(parts)


def main() -> None:
    """Measure, and print the tables."""
    parser = make_parser(__doc__ or "", repeats=3, option="--seeds")
    parser.add_argument("folder", type=Path, help="folder of the sets")
    parser.add_argument("--sets", help="names, separated by commas (default: all)")
    parser.add_argument("--rows", type=int, default=2_500, help="most rows to train on")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    sets = read_sets(arguments.folder)
    names = [name for name in choose(sets, arguments.sets, arguments.quick) if name != TEXT]
    print(describe(environment()), flush=True)
    records = []
    with threadpool_limits(limits=1):
        for seed in range(1 if arguments.quick else arguments.seeds):
            for name in names:
                task = sets[name].task
                data = prepare(sets[name], seed, arguments.quick)
                for system in SYSTEMS if task == REGRESSION else (OURS,):
                    found = measure(system, task, data, arguments.rows, seed)
                    n_train = min(arguments.rows, len(data.y_train))
                    about = {"data": name, "task": task, "half": sets[name].half, "seed": seed}
                    records.append({**about, "system": system, "n_train": n_train, **found})
                    figures = ", ".join(f"{key} {value:.3f}" for key, value in found.items())
                    print(f"{name}, seed {seed}, {system}: {figures}", file=sys.stderr, flush=True)
    finish("intervals", arguments, records, summarize)


if __name__ == "__main__":
    main()
