"""Time of a fit of eight networks: side by side, one after another, and as rivals make them.

Eight networks (64, 64) are trained for the same epochs on batches of 64 out of 5,000 rows x 20,
each on all rows in an order of its own: ReLU, Adam at 1e-3, an L2 penalty of 1e-4, without scaling
or validation, float32 input. Ours trains them in one fit, and in eight fits of one network each;
scikit-learn's `BaggingClassifier` fits eight `MLPClassifier`, with all rows for each; in JAX
`jax.vmap` goes over the members, its compilation apart. Of these the processor time counts, the
least of several repeats that take turns.

Then a fit at the defaults with one thread over its groups of networks and with two, for which the
elapsed time counts, and what its phases take. Two threads need two cores that nothing else uses.

    OMP_NUM_THREADS=1 python docs/benchmarks/networks.py
"""

import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.datasets import make_classification
from sklearn.ensemble import BaggingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from _common import describe, environment, finish, make_parser, number, ratio, table, verdict
from skscratch import ScratchMLPClassifier

N_NETWORKS, HIDDEN, BATCH_SIZE, EPOCHS = 8, (64, 64), 64, 10
N_SAMPLES, N_FEATURES = 5_000, 20
LEARNING_RATE, L2 = 1e-3, 1e-4
OURS, IN_TURN, BAGGING, VMAP = "side by side", "one after another", "BaggingClassifier", "JAX vmap"
TARGETS = {IN_TURN: 2.0, BAGGING: 6.0, VMAP: 0.7}
JOBS_TARGET = 1.6


def make_data(n_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of two classes."""
    X, y = make_classification(n_samples, N_FEATURES, n_informative=10, random_state=0)
    return X.astype(np.float32), y


def make_sklearn(epochs: int) -> MLPClassifier:
    """Return scikit-learn's network."""
    return MLPClassifier(
        HIDDEN,
        alpha=L2,
        batch_size=BATCH_SIZE,
        learning_rate_init=LEARNING_RATE,
        max_iter=epochs,
        tol=0.0,
        n_iter_no_change=epochs,
        random_state=0,
    )


def make_ours(epochs: int, n_networks: int, random_state: int = 0) -> ScratchMLPClassifier:
    """Return ours with the same settings."""
    return ScratchMLPClassifier(
        HIDDEN,
        activation="relu",
        n_networks=n_networks,
        l2=L2,
        batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE,
        lr_schedule="constant",
        label_smoothing=0.0,
        feature_scaling=None,
        max_iter=epochs,
        tol=0.0,
        n_iter_no_change=epochs,
        early_stopping=False,
        calibrate=False,
        random_state=random_state,
    )


def find_contestants(
    X: np.ndarray, y: np.ndarray, epochs: int
) -> tuple[dict[str, Callable[[], Any]], float | None]:
    """Return a function for each way to fit, and the seconds of JAX's compilation."""
    # With validation data each network gets all rows of X, and none are left out as a fold.
    validation = {"X_val": X[:BATCH_SIZE], "y_val": y[:BATCH_SIZE]}

    def in_turn() -> None:
        for k in range(N_NETWORKS):
            make_ours(epochs, 1, k).fit(X, y)

    bagging = BaggingClassifier(
        make_sklearn(epochs), N_NETWORKS, bootstrap=False, random_state=0, n_jobs=1
    )
    contestants: dict[str, Callable[[], Any]] = {
        OURS: lambda: make_ours(epochs, N_NETWORKS).fit(X, y, **validation),
        IN_TURN: in_turn,
        BAGGING: lambda: bagging.fit(X, y),
    }
    try:
        import _rival_vmap
    except ModuleNotFoundError as error:
        print(f"{VMAP} is missing: {error}")
        return contestants, None
    started = time.perf_counter()
    contestants[VMAP] = _rival_vmap.prepare(
        X, y, N_NETWORKS, HIDDEN, BATCH_SIZE, epochs, LEARNING_RATE, L2
    )
    return contestants, time.perf_counter() - started


def measure(repeats: int, n_samples: int, epochs: int) -> dict[str, Any]:
    """Return the seconds of each way to fit."""
    X, y = make_data(n_samples)
    contestants, compilation = find_contestants(X, y, epochs)
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for repeat in range(repeats + 1):
        for name, fit in contestants.items():
            print(f"measuring {name} ...", file=sys.stderr, flush=True)
            started = time.process_time()
            fit()
            if repeat:  # the first fits warm up
                seconds[name].append(time.process_time() - started)
    return {"seconds": seconds, "compilation": compilation}


def measure_jobs(repeats: int, n_samples: int) -> dict[str, Any]:
    """Return the elapsed seconds of a fit at the defaults by ``n_jobs``, and those of its phases.

    The phases are those of the fastest fit with ``n_jobs=1``.
    """
    X, y = make_data(n_samples)
    seconds: dict[str, list[float]] = {"1": [], "2": []}
    phases: dict[str, float] = {}
    for _ in range(repeats):
        for n_jobs, found in seconds.items():
            print(f"measuring n_jobs={n_jobs} ...", file=sys.stderr, flush=True)
            estimator = ScratchMLPClassifier(n_jobs=int(n_jobs), random_state=0)
            started = time.perf_counter()
            estimator.fit(X, y)
            found.append(time.perf_counter() - started)
            if n_jobs == "1" and found[-1] == min(found):
                phases = dict(estimator.plan_.seconds)
    return {"seconds": seconds, "phases": phases}


def summarize(saved: dict[str, Any]) -> str:
    """Return the tables of a run."""
    ways, jobs = saved["records"]["ways"], saved["records"]["jobs"]
    found = {name: min(values) for name, values in ways["seconds"].items()}
    ours = found[OURS]
    times = [
        [name, number(found.get(name)), number(ratio(found.get(name), ours))]
        for name in (OURS, *TARGETS)
    ]
    elapsed = {n_jobs: min(values) for n_jobs, values in jobs["seconds"].items()}
    speedup = elapsed["1"] / elapsed["2"]
    aims = [
        [
            f"{name} / side by side",
            f">= {aim:g}",
            number(ratio(found.get(name), ours)),
            verdict(ratio(found.get(name), ours), low=aim),
        ]
        for name, aim in TARGETS.items()
    ]
    aims.append(
        [
            "n_jobs=1 / n_jobs=2",
            f">= {JOBS_TARGET:g}",
            number(speedup),
            verdict(speedup, low=JOBS_TARGET),
        ]
    )
    phases = [[name, number(1e3 * value)] for name, value in jobs["phases"].items()]
    compilation = ways["compilation"]
    return "\n\n".join(
        [
            f"Processor seconds of a fit of {N_NETWORKS} networks {HIDDEN} (least)",
            table(["way", "seconds", "over ours"], times),
            f"JAX's compilation takes {number(compilation)} s more."
            if compilation is not None
            else "JAX is missing.",
            f"Elapsed seconds of a fit at the defaults (least): n_jobs=1 {number(elapsed['1'])}, "
            f"n_jobs=2 {number(elapsed['2'])}. Its phases with n_jobs=1, in milliseconds",
            table(["phase", "milliseconds"], phases),
            "Targets",
            table(["the rival's time over ours", "target", "found", ""], aims),
        ]
    )


def main() -> None:
    """Measure and print the tables."""
    arguments = make_parser(__doc__, repeats=5).parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    n_samples, epochs = N_SAMPLES, EPOCHS
    if arguments.quick:
        n_samples, epochs, arguments.repeats = 500, 1, 1
    print(describe(environment()))
    records = {
        "ways": measure(arguments.repeats, n_samples, epochs),
        "jobs": measure_jobs(arguments.repeats, n_samples),
    }
    finish("networks", arguments, records, summarize)


if __name__ == "__main__":
    main()
