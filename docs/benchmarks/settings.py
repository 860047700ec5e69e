"""What fewer networks cost and save, by the number of rows.

Three settings, all else being the constructor's, on generated data: a classification of three
classes in 20 features, an eighth of whose labels are noise, and Friedman's first regression with
noise. 20,000 further rows test. One seed, one thread; seconds are the processor's in a call of
``fit``.

    OMP_NUM_THREADS=1 python docs/benchmarks/settings.py

Prints the table of ``docs/guide/networks.rst``.
"""

import time
import warnings

from sklearn.datasets import make_classification, make_friedman1
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss

from skscratch import ScratchMLPClassifier, ScratchMLPRegressor

ROWS = (100, 300, 1_000, 3_000, 10_000, 30_000)
N_TEST = 20_000
SETTINGS = {
    "8 networks": {"n_networks": 8},
    "4 networks": {"n_networks": 4},
    "1, rows held out": {"n_networks": 1, "early_stopping": True, "n_iter_no_change": float("inf")},
}


def classification(n_rows):
    """Return X and y of three classes, N_TEST rows more than asked for."""
    return make_classification(
        n_rows + N_TEST,
        n_features=20,
        n_informative=8,
        n_classes=3,
        n_clusters_per_class=4,
        flip_y=0.125,
        random_state=0,
    )


def regression(n_rows):
    """Return X and y of a regression, N_TEST rows more than asked for."""
    return make_friedman1(n_rows + N_TEST, noise=2.0, random_state=0)


def fit(estimator, X, y):
    """Return the fitted estimator and the processor's seconds that it took."""
    started = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        estimator.fit(X[N_TEST:], y[N_TEST:])
    return estimator, time.process_time() - started


def main():
    """Measure and print."""
    print("rows, setting, accuracy, log loss, seconds, R2, seconds")
    for n_rows in ROWS:
        for name, params in SETTINGS.items():
            X, y = classification(n_rows)
            clf, seconds = fit(ScratchMLPClassifier(**params, random_state=0), X, y)
            accuracy = clf.score(X[:N_TEST], y[:N_TEST])
            loss = log_loss(y[:N_TEST], clf.predict_proba(X[:N_TEST]))
            X, y = regression(n_rows)
            reg, other = fit(ScratchMLPRegressor(**params, random_state=0), X, y)
            r2 = reg.score(X[:N_TEST], y[:N_TEST])
            print(
                f"{n_rows:7,}  {name:17} {accuracy:.3f}  {loss:.3f} {seconds:6.2f}   "
                f"{r2:.3f} {other:6.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
