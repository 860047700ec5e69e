"""Peak memory of fits and of a search: scikit-learn and ours, beyond the data.

A fit of 20,000 rows x 50 features to 500 classes, one of 100,000 x 100 to two, and a grid search
over four settings with two processes, all for two epochs. Ours is there with one network at
scikit-learn's settings, and at the defaults, which are eight networks. Each runs in a process of
its own, and memory is what the resident set grows by at its peak; that of a search's workers is
added up.

    OMP_NUM_THREADS=1 python docs/benchmarks/memory.py
"""

import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from joblib.externals.loky import get_reusable_executor
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier

from _common import describe, environment, finish, make_parser, mebibytes, number, ratio, table
from _memory import MemoryWatch, in_fresh_process
from skscratch import ScratchMLPClassifier

# rows, features, classes, processes of a search or 0 for a fit
CASES = {
    "20,000 x 50, 500 classes": (20_000, 50, 500, 0),
    "100,000 x 100, 2 classes": (100_000, 100, 2, 0),
    "search, 20,000 x 50, n_jobs=2": (20_000, 50, 2, 2),
}
NAMES = ("scikit-learn", "one network", "defaults")


def make_estimator(name: str) -> Any:
    """Return an unfitted classifier."""
    common = {"max_iter": 2, "random_state": 0}
    if name == "scikit-learn":
        return MLPClassifier((100,), batch_size=200, n_iter_no_change=2, **common)
    if name == "defaults":
        return ScratchMLPClassifier(**common)
    return ScratchMLPClassifier(
        (100,),
        activation="relu",
        n_networks=1,
        batch_size=200,
        learning_rate=1e-3,
        lr_schedule="constant",
        label_smoothing=0.0,
        feature_scaling=None,
        **common,
    )


def peak(name: str, n_samples: int, n_features: int, n_classes: int, n_jobs: int) -> int | None:
    """Return by how many bytes a fit or a search grows at its peak."""
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_samples, n_features), np.float32)
    y = np.arange(n_samples) % n_classes
    estimator = make_estimator(name)
    make_estimator(name).fit(X[:500], y[:500])  # loads what is loaded on first use
    if not n_jobs:
        with MemoryWatch() as memory:
            estimator.fit(X, y)
        return memory.resident
    parameter = "alpha" if name == "scikit-learn" else "l2"
    search = GridSearchCV(estimator, {parameter: [1e-4, 1e-3]}, cv=2, n_jobs=n_jobs, refit=False)
    search.fit(X[:500], y[:500])  # starts the workers, and they import
    with FamilyWatch() as family:
        search.fit(X, y)
    get_reusable_executor().shutdown()  # this process could not end before its workers
    return family.grown


class FamilyWatch:
    """Watches the private memory of this process and of its children, by many looks.

    Attributes
    ----------
    grown : int or None
        Growth of its sum at the largest, in bytes; None where ``/proc`` is missing.
    """

    grown: int | None = None

    def __enter__(self) -> "FamilyWatch":
        self._before = self._most = _family_memory()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._keep_looking, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        if self._before:
            self.grown = self._most - self._before

    def _keep_looking(self) -> None:
        while not self._done.wait(0.01):
            self._most = max(self._most, _family_memory())


def _family_memory() -> int:
    """Return the anonymous memory of this process and of those it started, 0 if unknown."""
    family, total = [Path("/proc/self")], 0
    while family:
        process = family.pop()
        try:
            for children in process.glob("task/*/children"):
                family += [Path("/proc", child) for child in children.read_text().split()]
            lines = (process / "status").read_text().splitlines()
        except OSError:
            continue  # it has ended meanwhile
        total += sum(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon"))
    return total


def measure(repeats: int, shrink: int) -> list[dict[str, Any]]:
    """Return a record for each case."""
    records = []
    for what, (n_samples, *rest) in CASES.items():
        found: dict[str, list[int | None]] = {name: [] for name in NAMES}
        for _ in range(repeats):
            for name, values in found.items():
                print(f"measuring {what}, {name} ...", file=sys.stderr, flush=True)
                values.append(in_fresh_process(peak, name, n_samples // shrink, *rest))
        records.append({"case": what, "bytes": found})
    return records


def summarize(saved: dict[str, Any]) -> str:
    """Return the table of a run."""
    rows = []
    for record in saved["records"]:
        sizes = {
            name: min((size for size in values if size is not None), default=None)
            for name, values in record["bytes"].items()
        }
        theirs = sizes["scikit-learn"]
        rows.append(
            [
                record["case"],
                *(mebibytes(sizes[name]) for name in NAMES),
                *(number(ratio(sizes[name], theirs), 2) for name in NAMES[1:]),
            ]
        )
    header = ["what", *NAMES, "one network / scikit-learn", "defaults / scikit-learn"]
    return "MiB at the peak, beyond the data (least)\n\n" + table(header, rows)


def main() -> None:
    """Measure and print the table."""
    arguments = make_parser(__doc__, repeats=3).parse_args()
    shrink = 1
    if arguments.quick:
        arguments.repeats, shrink = 1, 10
    print(describe(environment()))
    finish("memory", arguments, measure(arguments.repeats, shrink), summarize)


if __name__ == "__main__":
    main()
