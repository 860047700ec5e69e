"""Time and memory of a fit as it grows, and of what would not fit into memory.

Rows, width, depth, batch and networks grow tenfold each, the rest staying the same (scikit-learn's
several networks are a `BaggingClassifier` without bootstrap; ours leave a fold out each); then a
memory map of 4 GiB of float32 features, and a sparse matrix with 100,000 columns. Fits are made in
processes of their own, with float32 input; memory is what the process grows by at its peak, the
data apart.
Epochs, batches and settings are the same for both.

    OMP_NUM_THREADS=1 python docs/benchmarks/scaling.py --directory /tmp

The memory map needs as much room in ``--directory``, which should be on a real disk. Its pages
belong to the file and not to the process, which grows by its anonymous memory alone.
"""

import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import scipy.sparse
from sklearn.ensemble import BaggingClassifier
from sklearn.neural_network import MLPClassifier

from _common import describe, environment, finish, make_parser, mebibytes, number, table, verdict
from _memory import MemoryWatch, in_fresh_process
from skscratch import ScratchMLPClassifier

NAMES = ("scikit-learn", "skscratch")
PARTS = ("n", "width", "depth", "batch", "networks", "memmap", "csr")
N_CLASSES = 10
BASE = {"n": 10_000, "width": 100, "depth": 1, "batch": 200, "networks": 1}
N_FEATURES = 50
GROWTH = {
    "n": (1_000, 10_000, 100_000),
    "width": (10, 100, 1_000),
    "depth": (1, 10, 100),
    "batch": (20, 200, 2_000),
    "networks": (1, 10, 100),
}
MAP_FEATURES = 1_024
CSR_ROWS, CSR_COLUMNS, CSR_PER_ROW = 10_000, 100_000, 100
TARGET = 300.0  # MiB by which a fit on the memory map may grow


def make_estimator(
    name: str, hidden: tuple[int, ...], batch_size: int, epochs: int, n_networks: int = 1
) -> Any:
    """Return an unfitted classifier."""
    common = {
        "hidden_layer_sizes": hidden,
        "activation": "relu",
        "batch_size": batch_size,
        "max_iter": epochs,
        "tol": 0.0,
        "n_iter_no_change": epochs,
        "early_stopping": False,
        "random_state": 0,
    }
    if name == "scikit-learn":
        alone = MLPClassifier(**common)
        return alone if n_networks == 1 else BaggingClassifier(alone, n_networks, bootstrap=False)
    return ScratchMLPClassifier(
        **common,
        n_networks=n_networks,
        optimizer="adam",
        l2=1e-4,
        dropout=0.0,
        normalization=None,
        learning_rate=1e-3,
        lr_schedule="constant",
        label_smoothing=0.0,
        feature_scaling=None,
        calibrate=False,
    )


def fit(
    name: str,
    hidden: tuple[int, ...],
    batch_size: int,
    epochs: int,
    X: Any,
    repeats: int,
    n_networks: int = 1,
) -> dict[str, Any]:
    """Return the seconds of each fit, and the memory that the fits need at their peak."""
    y = np.random.default_rng(1).integers(0, N_CLASSES, X.shape[0])
    estimator = make_estimator(name, hidden, batch_size, epochs, n_networks)
    seconds = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Loads what the libraries load on first use, which is not what a fit needs.
        make_estimator(name, (5,), 20, 1).fit(X[:100], y[:100])
        with MemoryWatch() as memory:
            for _ in range(repeats):
                started = time.perf_counter()
                estimator.fit(X, y)
                seconds.append(time.perf_counter() - started)
    assert getattr(estimator, "n_iter_", epochs) == epochs
    return {"seconds": seconds, "resident": memory.resident, "anonymous": memory.anonymous}


def fit_grown(
    name: str, n: int, width: int, depth: int, batch: int, networks: int, repeats: int
) -> dict[str, Any]:
    """Fit to dense rows for two epochs."""
    X = np.random.default_rng(0).standard_normal((n, N_FEATURES), np.float32)
    return fit(name, (width,) * depth, batch, 2, X, repeats, networks)


def fit_csr(name: str, n_rows: int, n_columns: int, repeats: int) -> dict[str, Any]:
    """Fit to sparse rows for one epoch."""
    rng = np.random.default_rng(0)
    shape = (n_rows, n_columns)
    columns = rng.integers(0, n_columns, (n_rows, CSR_PER_ROW), np.int32)
    values = np.ones(columns.size, np.float32)
    bounds = np.arange(0, columns.size + 1, CSR_PER_ROW, dtype=np.int32)
    X = scipy.sparse.csr_matrix((values, columns.ravel(), bounds), shape)
    X.sum_duplicates()
    return fit(name, (100,), 200, 1, X, repeats)


def fit_memory_map(name: str, path: str, n_features: int) -> dict[str, Any]:
    """Fit to the rows of a file for one epoch."""
    X = np.memmap(path, np.float32, mode="r").reshape(-1, n_features)
    return fit(name, (100,), 200, 1, X, 1)


def write_features(path: Path, size: int, n_features: int) -> None:
    """Write rows of random features, block by block."""
    rng = np.random.default_rng(0)
    n_rows = size // (4 * n_features)
    with path.open("wb") as file:
        for start in range(0, n_rows, 4_096):
            n_more = min(4_096, n_rows - start)
            rng.random((n_more, n_features), np.float32).tofile(file)


def compare(part: str, what: str, function: Callable, *arguments: Any) -> list[dict[str, Any]]:
    """Let both fit in processes of their own."""
    records = []
    for name in NAMES:
        print(f"measuring {what}, {name} ...", file=sys.stderr, flush=True)
        found = in_fresh_process(function, name, *arguments)
        records.append({"part": part, "what": what, "name": name, **found})
    return records


def measure(
    parts: tuple[str, ...], directory: str | None, gib: float, repeats: int, quick: bool
) -> list[dict[str, Any]]:
    """Return a record for each fit."""
    records = []
    shrink = 10 if quick else 1
    for part in [part for part in parts if part in GROWTH]:
        for value in GROWTH[part][: 2 if quick else 3]:
            size = {**BASE, "n": BASE["n"] // shrink, part: value}
            what = f"{part} = {value:,}"
            records += compare(part, what, fit_grown, *size.values(), repeats)
    if "memmap" in parts:
        with tempfile.TemporaryDirectory(dir=directory) as folder:
            path = Path(folder, "features")
            write_features(path, int(gib * 2**30), MAP_FEATURES)
            what = f"memory map, {gib:g} GiB x {MAP_FEATURES:,} features"
            records += compare("memmap", what, fit_memory_map, str(path), MAP_FEATURES)
    if "csr" in parts:
        n_rows, n_columns = CSR_ROWS // shrink, CSR_COLUMNS // shrink
        what = f"CSR, {n_rows:,} x {n_columns:,}"
        records += compare("csr", what, fit_csr, n_rows, n_columns, min(repeats, 3))
    return records


def summarize(saved: dict[str, Any]) -> str:
    """Return the tables of a run."""
    records = saved["records"]
    rows, aims = [], []
    before: dict[str, list[float]] = {}
    for theirs, ours in zip(records[::2], records[1::2], strict=True):
        times = [median(record["seconds"]) for record in (theirs, ours)]
        part = ours["part"]
        grown = [now / then for now, then in zip(times, before.get(part, []), strict=False)]
        before[part] = times
        kind = "anonymous" if part == "memmap" else "resident"
        rows.append(
            [
                ours["what"],
                *map(number, times),
                number(times[0] / times[1]),
                *([number(growth, 2) for growth in grown] or ["-", "-"]),
                *(mebibytes(record[kind]) for record in (theirs, ours)),
            ]
        )
        if part == "memmap":
            growth = ours["anonymous"]
            size = None if growth is None else growth / 2**20
            aims.append(
                [
                    f"{ours['what']}: MiB of RssAnon",
                    f"< {TARGET:g}",
                    mebibytes(growth),
                    verdict(size, high=TARGET),
                ]
            )
    header = [
        "fit",
        "scikit-learn, s",
        "skscratch, s",
        "ratio",
        "scikit-learn, growth",
        "skscratch, growth",
        "scikit-learn, MiB",
        "skscratch, MiB",
    ]
    base = ", ".join(f"{name} {value:,}" for name, value in BASE.items())
    text = [
        f"Time and peak memory of a fit ({base}, {N_FEATURES} features where not said otherwise), "
        "and by how much the time grew from the line before",
        table(header, rows),
    ]
    if aims:
        text += ["Targets", table(["what", "target", "found", ""], aims)]
    return "\n\n".join(text)


def draw(saved: dict[str, Any], path: Path) -> None:
    """Draw the time of a fit over what grows, one panel for each."""
    import matplotlib.pyplot as plt

    # Text stays text, and two runs on the same results give the same file.
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "skscratch", "font.size": 10})
    parts = [part for part in GROWTH if any(part == record["part"] for record in saved["records"])]
    figure, grid = plt.subplots(
        1,
        len(parts),
        figsize=(2.4 * len(parts) + 1, 3.6),
        layout="constrained",
        sharey=True,
        squeeze=False,
    )
    for axes, part in zip(grid[0], parts, strict=True):
        for name, color, marker in zip(NAMES, ("#E69F00", "#0072B2"), "so", strict=True):
            times = [
                median(record["seconds"])
                for record in saved["records"]
                if (record["part"], record["name"]) == (part, name)
            ]
            axes.plot(GROWTH[part][: len(times)], times, marker + "-", color=color, label=name)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(part)
        axes.grid(color="0.9")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    grid[0, 0].set_ylabel("seconds of a fit (lower is faster)")
    grid[0, 0].legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    """Make all fits and print the table."""
    parser = make_parser(__doc__, repeats=3)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="default: all")
    parser.add_argument("--directory", help="where to write the file (default: the system's)")
    parser.add_argument("--gib", type=float, default=4.0, help="its size in GiB (default: 4)")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.repeats, arguments.gib = 1, min(arguments.gib, 1 / 64)
    print(describe(environment()))
    records = measure(
        tuple(arguments.parts),
        arguments.directory,
        arguments.gib,
        arguments.repeats,
        arguments.quick,
    )
    finish("scaling", arguments, records, summarize)


if __name__ == "__main__":
    main()
