"""Time and memory of predictions: scikit-learn and ours, and PyTorch where it is installed.

Many rows through (100,), wide rows through (512, 256), some thousand through (30, 15), and a single
row, on networks of the same sizes. Where there are 20 features, also with scaled inputs (a
`StandardScaler` in front of scikit-learn's, the default scaling in ours), and our default committee
against the same network of scikit-learn's. Predictions take turns and are repeated; the least time
counts. Memory is the growth of the resident set at its peak beyond input and result, in a process
of its own. scikit-learn's network was fitted to input of the dtype it gets; PyTorch predicts all
rows at once, without the checks of the other two.

With a million rows, scikit-learn and PyTorch need hundreds of MiB of new memory in each call. On a
virtual machine that may take longer than the arithmetic, and it varies up to fourfold from call to
call, and with it their ratios to ours.

    OMP_NUM_THREADS=1 python docs/benchmarks/predict.py
"""

import importlib.util
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from _common import (
    MISSING,
    describe,
    environment,
    finish,
    make_parser,
    mebibytes,
    number,
    table,
    verdict,
)
from _memory import MemoryWatch, in_fresh_process
from skscratch import ScratchMLPClassifier

# rows, features, hidden layers, classes, calls in one measurement
CASES = [
    (1_000_000, 20, (100,), 2, 1),
    (100_000, 784, (512, 256), 10, 1),
    (5_400, 20, (30, 15), 2, 20),
    (1, 20, (100,), 2, 200),
]
RIVALS = ("scikit-learn", "skscratch", "PyTorch")
# Beyond the same network: with scaled inputs on both sides, and our defaults.
SCALED = ("skscratch, scaling", "scikit-learn, scaling")
DEFAULTS = "skscratch, defaults"
METHODS = ("predict", "predict_proba")
DTYPES = ("float64", "float32")


def make_data(case: tuple, dtype: str) -> np.ndarray:
    """Return the rows to predict."""
    n_rows, n_features = case[:2]
    X = np.random.default_rng(0).standard_normal((n_rows, n_features), np.float32)
    return X.astype(dtype)


def make_predictors(name: str, case: tuple, dtype: str) -> dict[str, Callable] | None:
    """Return a function for each method, None if the library is missing."""
    _, n_features, hidden, n_classes, _ = case
    rng = np.random.default_rng(0)
    n_rows = 1_000  # from here on dtype="auto" is what it is for larger data
    X = rng.standard_normal((n_rows, n_features)).astype(dtype)
    y = np.arange(n_rows) % n_classes
    if name == "PyTorch":
        if importlib.util.find_spec("torch") is None:
            return None
        return _torch_predictors((n_features, *hidden, 1 if n_classes == 2 else n_classes), dtype)
    theirs = MLPClassifier(hidden, max_iter=1, random_state=0)
    ours = ScratchMLPClassifier(
        hidden, activation="relu", feature_scaling=None, max_iter=1, n_networks=1, random_state=0
    )
    estimator: Any = {
        "scikit-learn": theirs,
        "scikit-learn, scaling": make_pipeline(StandardScaler(), theirs),
        "skscratch": ours,
        "skscratch, scaling": clone(ours).set_params(feature_scaling="learned"),
        DEFAULTS: ScratchMLPClassifier(max_iter=1, random_state=0),
    }[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X, y)
    return {method: getattr(estimator, method) for method in METHODS}


def _torch_predictors(sizes: tuple[int, ...], dtype: str) -> dict[str, Callable]:
    import torch

    from _rival_torch import make_module

    module = make_module(sizes).to(getattr(torch, dtype))

    def predict_proba(X: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            Z = module(torch.from_numpy(X))
            if Z.shape[1] > 1:
                return Z.softmax(1).numpy()
            P = Z.sigmoid()
            return torch.cat([1 - P, P], 1).numpy()

    def predict(X: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            Z = module(torch.from_numpy(X))
            return (Z.argmax(1) if Z.shape[1] > 1 else (Z[:, 0] > 0).long()).numpy()

    return {"predict": predict, "predict_proba": predict_proba}


def extra_memory(name: str, case: tuple, dtype: str) -> dict[str, int | None] | None:
    """Return the bytes that each method needs beyond input and result."""
    predictors = make_predictors(name, case, dtype)
    if predictors is None:
        return None
    X = make_data(case, dtype)
    found: dict[str, int | None] = {}
    for method, predict in predictors.items():
        predict(X[:1])
        with MemoryWatch() as memory:
            result = predict(X)
        found[method] = None if memory.resident is None else memory.resident - result.nbytes
    return found


def measure(case: tuple, dtype: str, repeats: int) -> dict[str, Any]:
    """Return each one's seconds of a call, and its memory."""
    X = make_data(case, dtype)
    names = (*RIVALS, *SCALED, DEFAULTS) if case[1] == 20 else RIVALS
    predictors = {name: make_predictors(name, case, dtype) for name in names}
    predictors = {name: found for name, found in predictors.items() if found}
    n_calls = case[-1]
    seconds: dict[str, dict[str, list[float]]] = {
        name: {method: [] for method in METHODS} for name in predictors
    }
    for repeat in range(repeats + 1):
        for method in METHODS:
            for name, found in predictors.items():
                started = time.perf_counter()
                for _ in range(n_calls):
                    found[method](X)
                elapsed = (time.perf_counter() - started) / n_calls
                if repeat:  # the first call warms up
                    seconds[name][method].append(elapsed)
    memory = {}
    if len(X) >= 10_000:
        memory = {
            name: in_fresh_process(extra_memory, name, case, dtype)
            for name in predictors
            if name not in SCALED
        }
    return {"case": case, "dtype": dtype, "seconds": seconds, "memory": memory}


def label(record: dict[str, Any]) -> str:
    """Return a case as the tables have it."""
    n_rows, n_features, hidden, *_ = record["case"]
    return f"{n_rows:,} x {n_features} {record['dtype']}, {tuple(hidden)}"


def summarize(saved: dict[str, Any]) -> str:
    """Return the tables of a run."""
    times, more, memories, aims = [], [], [], []
    for record in saved["records"]:
        for method in METHODS:
            found = {name: 1e3 * min(values[method]) for name, values in record["seconds"].items()}
            text = f"{method}, {label(record)}"
            faster = {name: value / found["skscratch"] for name, value in found.items()}
            times.append(
                [text]
                + [number(found.get(name)) for name in RIVALS]
                + [number(faster.get(name)) for name in RIVALS if name != "skscratch"]
            )
            n_rows, n_features = record["case"][:2]
            aims += [
                [who, f">= {number(least, 2)}", number(value), verdict(value, low=least)]
                for who, least, value in ratios_aimed_at(record, found, text)
            ]
            if n_features == 20:
                more.append(
                    [text]
                    + [number(found[name]) for name in (*SCALED, DEFAULTS)]
                    + [number(found[SCALED[1]] / found[SCALED[0]])]
                    + [number(found["scikit-learn"] / found[DEFAULTS])]
                )
            if n_rows < 10_000:
                continue
            memory = {
                name: MISSING if values is None else mebibytes(values[method])
                for name, values in record["memory"].items()
            }
            row = [text, *(memory.get(name, MISSING) for name in RIVALS)]
            memories.append([*row, memory.get(DEFAULTS, "-")])
            if method == "predict":
                extra = record["memory"]["skscratch"][method]
                size = None if extra is None else extra / 2**20
                aims.append([f"{text}: MiB", "<= 64", mebibytes(extra), verdict(size, high=64.0)])
    return "\n\n".join(
        [
            "Milliseconds of a call (least), and the rival's time over ours",
            table(["call", *RIVALS, "scikit-learn / ours", "PyTorch / ours"], times),
            "Milliseconds (least) with scaled inputs, and at our defaults; scikit-learn's time "
            "over ours, at our defaults that of its network without scaling",
            table(["call", *SCALED, DEFAULTS, "scaling, ratio", "defaults, ratio"], more),
            "Peak memory beyond input and result, MiB",
            table(["call", *RIVALS, DEFAULTS], memories),
            "Targets",
            table(["scikit-learn's time over ours, and our memory", "target", "found", ""], aims),
        ]
    )


def ratios_aimed_at(
    record: dict[str, Any], found: dict[str, float], text: str
) -> list[tuple[str, float, float]]:
    """List what was aimed at of a case: in words, the least ratio, and scikit-learn's over ours."""
    n_rows, n_features = record["case"][:2]
    same = found["scikit-learn"] / found["skscratch"]
    if n_features != 20:
        return []
    if n_rows == 1:
        return [
            (text, 1.0, same),
            (f"{text}, defaults", 1 / 3, found["scikit-learn"] / found[DEFAULTS]),
        ]
    scaling = (f"{text}, scaling", 2.0, found[SCALED[1]] / found[SCALED[0]])
    if n_rows < 10_000:
        return [(text, 2.0, same), scaling]
    least = 4.0 if record["dtype"] == "float64" else 2.5
    defaults = (f"{text}, defaults", 0.35, found["scikit-learn"] / found[DEFAULTS])
    return [(text, least, same), scaling, defaults]


def main() -> None:
    """Measure all cases and print the tables."""
    arguments = make_parser(__doc__, repeats=7).parse_args()
    cases = CASES
    if arguments.quick:
        arguments.repeats = 1
        cases = [(max(1, case[0] // 100), *case[1:-1], 1) for case in CASES]
    print(describe(environment()))
    records = []
    for case in cases:
        for dtype in DTYPES:
            print(f"measuring {case[:3]} {dtype} ...", file=sys.stderr, flush=True)
            records.append(measure(case, dtype, arguments.repeats))
    finish("predict", arguments, records, summarize)


if __name__ == "__main__":
    main()
