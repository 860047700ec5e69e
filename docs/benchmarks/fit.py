"""Time of an epoch, ours beside scikit-learn's, in float64 and in float32.

Both train the same network on the same data in one run: ReLU, Adam at 1e-3, an L2 penalty of
1e-4, shuffled batches, the loss tracked and watched for convergence (never reached). Fits take
turns and are repeated; the table shows the median time of an epoch and scikit-learn's divided by
ours. The dtype is the input's for scikit-learn, the parameter's for us; our input is float64 in
the float64 column and float32 in the float32 column, as scikit-learn's is.

    python docs/benchmarks/fit.py
"""

import argparse
import platform
import time
import warnings
from statistics import median

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_info

import skscratch
from skscratch import ScratchMLPClassifier

# rows, features, hidden layers, classes, rows of a batch
SHAPES = [
    (100, 20, (100,), 2, 100),
    (300, 20, (100,), 2, 200),
    (1_000, 20, (100,), 2, 200),
    (2_000, 20, (16, 8), 3, 16),
    (2_000, 64, (100,), 10, 200),
    (10_000, 54, (128, 128), 7, 256),
]
STEPS = 300  # per fit, so that set-up does not count


def fit_time(estimator, X, y, epochs):
    """Return the seconds per epoch of a fit."""
    started = time.perf_counter()
    estimator.fit(X, y)
    elapsed = time.perf_counter() - started
    assert estimator.n_iter_ == epochs
    return elapsed / epochs


def measure(shape, repeats):
    """Return the median seconds per epoch for each (name, dtype)."""
    n_samples, n_features, hidden, n_classes, batch_size = shape
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_samples, n_features))
    y = rng.integers(0, n_classes, n_samples)
    epochs = max(2, STEPS * batch_size // n_samples)
    common = {
        "hidden_layer_sizes": hidden,
        "batch_size": batch_size,
        "max_iter": epochs,
        "tol": 0.0,
        "n_iter_no_change": epochs,
        "random_state": 0,
    }
    times: dict[tuple[str, str], list[float]] = {}
    for _ in range(repeats):
        for dtype in ("float64", "float32"):
            rivals = {
                "scikit-learn": MLPClassifier(**common),
                "skscratch": ScratchMLPClassifier(
                    **common, optimizer="adam", learning_rate=1e-3, l2=1e-4, dtype=dtype
                ),
            }
            data = X.astype(dtype)
            for name, estimator in rivals.items():
                times.setdefault((name, dtype), []).append(fit_time(estimator, data, y, epochs))
    return {key: median(values) for key, values in times.items()}


def main():
    """Measure every shape and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7, help="fits of each kind (default: 7)")
    repeats = parser.parse_args().repeats
    warnings.simplefilter("ignore", ConvergenceWarning)
    print(
        f"skscratch {skscratch.__version__}, scikit-learn {sklearn.__version__}, "
        f"NumPy {np.__version__}, Python {platform.python_version()}"
    )
    for pool in threadpool_info():
        kind = pool.get("architecture", "")
        print(f"{pool['internal_api']} {pool['version']} {kind}, {pool['num_threads']} threads")
    print("\nMilliseconds per epoch (median), and scikit-learn's time over ours\n")
    print(f"{'':40}{'float64':^28}{'float32':^28}{'ours,':>10}")
    titles = f"{'scikit-learn':>12}{'ours':>8}{'ratio':>8}"
    print(f"{'rows, features, hidden, classes, batch':40}" + titles * 2 + f"{'64 / 32':>10}")
    for shape in SHAPES:
        found = measure(shape, repeats)
        cells = ""
        for dtype in ("float64", "float32"):
            theirs, ours = found["scikit-learn", dtype], found["skscratch", dtype]
            cells += f"{1e3 * theirs:12.2f}{1e3 * ours:8.2f}{theirs / ours:8.2f}"
        gain = found["skscratch", "float64"] / found["skscratch", "float32"]
        print(f"{str(shape)[1:-1]:40}{cells}{gain:10.2f}", flush=True)


if __name__ == "__main__":
    main()
