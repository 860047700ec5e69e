"""Time of a fit: scikit-learn, PyTorch, JAX, skorch and ours, beside the bare matrix products.

All train the same network on the same data in one run: ReLU, Adam at 1e-3, an L2 penalty of 1e-4,
the same epochs of the same batches, shuffled anew each time, the last one shorter, without scaling
or validation, and the mean loss of each epoch as a number. Fits take turns and are repeated. The
time is that of the whole fit, from arrays to a trained network, divided by its steps; JAX's
compilation is apart.

scikit-learn and ours get float64 and float32 input, ours with its own choice of dtype; PyTorch,
JAX and skorch get float32. The floor is the matrix products alone, by NumPy's BLAS and by PyTorch's
own. "skscratch, defaults" leaves all but layers, batch size and epochs as the constructor has it.

    OMP_NUM_THREADS=1 python docs/benchmarks/fit.py

Ratios depend on the processor, and those of wide layers on how fast its products are. The records
are of an AMD EPYC of family 25 and model 17: about 100 GFLOPS of float32 products with one
thread. An AMD EPYC with twice that gave an earlier version ratios of 2.6 to 4.8 to scikit-learn's
float64, and of 1.9 at least to PyTorch's: where products take less time, all else counts for more.

One thread makes a fair race on any machine: small products gain nothing from more, and the
libraries would differ in how they share the cores with the rest of the system.
"""

import importlib
import math
import sys
import time
import warnings
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

import _floor
from _common import (
    describe,
    environment,
    finish,
    geometric_mean,
    make_parser,
    number,
    ratio,
    table,
    verdict,
)
from skscratch import ScratchMLPClassifier

DTYPES = ("float64", "float32")
# Each rival's name, and the module that trains with it.
RIVALS = {"PyTorch": "_rival_torch", "JAX": "_rival_jax", "skorch": "_rival_skorch"}
TORCH_FLOOR = "floor, PyTorch"
LIBRARIES = ("torch", "jax", "optax", "skorch")
LEAST_ROUNDS = 3


class Shape(NamedTuple):
    """What is trained: data, network and batches."""

    n_samples: int
    n_features: int
    hidden: tuple[int, ...]
    n_classes: int
    batch_size: int
    epochs: int
    learning_rate: float = 1e-3
    l2: float = 1e-4

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of features from input to output; two classes have one output."""
        n_outputs = 1 if self.n_classes == 2 else self.n_classes
        return (self.n_features, *self.hidden, n_outputs)

    @property
    def n_steps(self) -> int:
        """Number of batches of an epoch."""
        return math.ceil(self.n_samples / self.batch_size)


# Enough epochs that the set-up of a fit does not count.
SHAPES = [
    Shape(1_000, 20, (100,), 2, 200, epochs=200),
    Shape(2_000, 20, (16, 8), 3, 16, epochs=20),
    Shape(2_000, 64, (100,), 10, 200, epochs=100),
    Shape(10_000, 54, (128, 128), 7, 256, epochs=10),
    Shape(20_000, 100, (256, 256, 256), 10, 256, epochs=5),
    Shape(20_000, 784, (512, 256), 10, 256, epochs=5),
    Shape(20_000, 784, (1024, 1024), 10, 1024, epochs=5),
]
# On these dtype="auto" takes float64.
SMALL_SHAPES = [
    Shape(100, 20, (100,), 2, 100, epochs=1_000),
    Shape(300, 20, (100,), 2, 200, epochs=500),
]

Prepare = Callable[[np.ndarray, np.ndarray, Shape], Callable[[], list[float]]]


def prepare_sklearn(X: np.ndarray, y: np.ndarray, shape: Shape) -> Callable[[], list[float]]:
    """Return a function that fits scikit-learn's classifier."""
    estimator = MLPClassifier(
        shape.hidden,
        alpha=shape.l2,
        batch_size=shape.batch_size,
        learning_rate_init=shape.learning_rate,
        max_iter=shape.epochs,
        tol=0.0,
        n_iter_no_change=shape.epochs,
        random_state=0,
    )
    return lambda: estimator.fit(X, y).loss_curve_


# What scikit-learn's MLPs do, as far as it does not depend on the data.
EQUAL_SETTINGS: dict[str, Any] = {
    "activation": "relu",
    "optimizer": "adam",
    "dropout": 0.0,
    "normalization": None,
    "lr_schedule": "constant",
    "feature_scaling": None,
    "tol": 0.0,
    "n_networks": 1,
    "early_stopping": False,
    "random_state": 0,
}
EQUAL_CLASSIFIER: dict[str, Any] = {**EQUAL_SETTINGS, "label_smoothing": 0.0, "calibrate": False}


def prepare_ours(
    X: np.ndarray, y: np.ndarray, shape: Shape, **settings: Any
) -> Callable[[], list[float]]:
    """Return a function that fits our classifier with the settings of scikit-learn's."""
    estimator = ScratchMLPClassifier(
        shape.hidden,
        l2=shape.l2,
        batch_size=shape.batch_size,
        learning_rate=shape.learning_rate,
        max_iter=shape.epochs,
        n_iter_no_change=shape.epochs,
        **EQUAL_CLASSIFIER,
        **settings,
    )
    return lambda: estimator.fit(X, y).loss_curve_


def prepare_defaults(X: np.ndarray, y: np.ndarray, shape: Shape) -> Callable[[], list[float]]:
    """Return a function that fits our classifier as its constructor has it."""
    estimator = ScratchMLPClassifier(
        shape.hidden, batch_size=shape.batch_size, max_iter=shape.epochs, random_state=0
    )
    return lambda: estimator.fit(X, y).loss_curve_


def find_contestants() -> dict[str, tuple[str, Prepare]]:
    """Return the input's dtype and the function for each contestant that is installed."""
    found: dict[str, tuple[str, Prepare]] = {}
    for dtype in DTYPES:
        found[f"scikit-learn, {dtype}"] = (dtype, prepare_sklearn)
        found[f"skscratch, {dtype}"] = (dtype, prepare_ours)
    found["skscratch, defaults"] = ("float64", prepare_defaults)
    for name, module in RIVALS.items():
        try:
            found[name] = ("float32", importlib.import_module(module).prepare)
        except ModuleNotFoundError as error:
            if error.name not in LIBRARIES:
                raise
            print(f"{name} is missing: {error}")
    return found


def compare_dtypes() -> dict[str, tuple[str, Prepare]]:
    """Return ours in float64 and in float32, whatever dtype="auto" would take."""

    def make(dtype: str) -> tuple[str, Prepare]:
        return dtype, lambda X, y, shape: prepare_ours(X, y, shape, dtype=dtype)

    return {dtype: make(dtype) for dtype in DTYPES}


def warm_up(contestants: dict[str, tuple[str, Prepare]]) -> None:
    """Let each fit once, since libraries load parts of themselves on first use."""
    for n_classes in (2, 3):
        measure(Shape(60, 5, (4,), n_classes, 40, epochs=2), contestants, 1, math.inf)


def measure(
    shape: Shape, contestants: dict[str, tuple[str, Prepare]], repeats: int, budget: float
) -> dict[str, Any]:
    """Let all fit in turns; return each one's seconds per step, and those of the floor."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((shape.n_samples, shape.n_features))
    data = {dtype: X.astype(dtype) for dtype in DTYPES}
    y = rng.integers(0, shape.n_classes, shape.n_samples)
    floors = [f"floor, {dtype}" for dtype in DTYPES]
    own_products: Callable[[Shape, int], float] | None = None
    if "PyTorch" in contestants:
        own_products = importlib.import_module(RIVALS["PyTorch"]).products_per_step
        floors.append(TORCH_FLOOR)
    names = [*contestants, *floors]
    steps: dict[str, list[float]] = {name: [] for name in names}
    preparations: dict[str, list[float]] = {name: [] for name in contestants}
    cores: dict[str, list[float]] = {name: [] for name in contestants}
    began = time.perf_counter()
    for done in range(repeats):
        if done >= LEAST_ROUNDS and time.perf_counter() - began > budget:
            break
        for name, (dtype, prepare) in contestants.items():
            started = time.perf_counter()
            fit = prepare(data[dtype], y, shape)
            prepared, cpu = time.perf_counter(), time.process_time()
            losses = fit()
            seconds = time.perf_counter() - prepared
            cores[name].append((time.process_time() - cpu) / seconds)
            assert np.isfinite(losses).all()
            assert len(losses) == shape.epochs or name.endswith("defaults")
            preparations[name].append(prepared - started)
            steps[name].append(seconds / (len(losses) * shape.n_steps))
        epochs = math.ceil(shape.epochs / 10)
        for dtype in DTYPES:
            steps[f"floor, {dtype}"].append(_floor.seconds_per_step(shape, dtype, epochs))
        if own_products is not None:
            steps[TORCH_FLOOR].append(own_products(shape, epochs))
    return {
        "shape": shape._asdict(),
        "n_steps": shape.n_steps,
        "step": steps,
        "compilation": preparations.get("JAX"),
        "cores": cores,
    }


def label(record: dict[str, Any]) -> str:
    """Return a shape as the tables have it."""
    shape = record["shape"]
    return (
        f"{shape['n_samples']:,} x {shape['n_features']}, {tuple(shape['hidden'])}, "
        f"{shape['n_classes']} classes, batch {shape['batch_size']}"
    )


def medians(record: dict[str, Any]) -> dict[str, float]:
    """Return each one's median seconds per step."""
    return {name: median(values) for name, values in record["step"].items()}


def summarize(saved: dict[str, Any]) -> str:
    """Return the tables of a run."""
    records = saved["records"]
    found = [medians(record) for record in records]
    labels = [label(record) for record in records]
    fits = [
        *(f"{who}, {dtype}" for who in ("scikit-learn", "skscratch") for dtype in DTYPES),
        *RIVALS,
    ]
    columns = [
        *fits,
        *(f"floor, {dtype}" for dtype in DTYPES),
        TORCH_FLOOR,
        "skscratch, defaults",
    ]

    def milliseconds(one: dict[str, float], name: str) -> str:
        return number(1e3 * one[name] if name in one else None)

    times = [
        [text, *(milliseconds(one, name) for name in columns)]
        for text, one in zip(labels, found, strict=True)
    ]
    totals = [
        [
            text,
            record["shape"]["epochs"],
            *(
                milliseconds(
                    {k: v * record["shape"]["epochs"] * record["n_steps"] for k, v in one.items()},
                    name,
                )
                for name in fits
            ),
            number(1e3 * median(record["compilation"]) if record["compilation"] else None),
        ]
        for text, record, one in zip(labels, records, found, strict=True)
    ]
    pairs = {
        "scikit-learn, float64": "skscratch, float64",
        "scikit-learn, float32": "skscratch, float32",
        **dict.fromkeys(RIVALS, "skscratch, float32"),
    }
    ratios = [
        [
            text,
            *(number(ratio(one.get(theirs), one[ours])) for theirs, ours in pairs.items()),
            number(compiled_ratio(record)),
            number(one["skscratch, float32"] / one["floor, float32"]),
            number(1e6 * (one["skscratch, float32"] - one["floor, float32"])),
        ]
        for text, record, one in zip(labels, records, found, strict=True)
    ]
    cores = ", ".join(
        f"{name} {median(value for record in records for value in record['cores'][name]):.2f}"
        for name in records[0]["cores"]
    )
    rounds = sorted({len(record["step"]["skscratch, float64"]) for record in records})
    return "\n\n".join(
        [
            f"Milliseconds of a step (median of {' or '.join(map(str, rounds))} fits)",
            table(["rows x features, hidden layers", *columns], times),
            "Milliseconds of the whole fit, and of JAX's compilation apart",
            table(
                ["rows x features, hidden layers", "epochs", *fits, "JAX compilation"],
                totals,
            ),
            "The rival's time over ours (with float32 input for all but the first column), ours "
            "over the floor, and what a step of ours takes beyond the floor, in microseconds",
            table(
                [
                    "rows x features, hidden layers",
                    *pairs,
                    "JAX, compiling",
                    "ours / floor",
                    "overhead",
                ],
                ratios,
            ),
            "Processor time over elapsed time in a fit (median): above 1 where a library used more "
            f"than one core, below 1 where others took the processor away. {cores}.",
            targets(records),
        ]
    )


def compiled_ratio(record: dict[str, Any]) -> float | None:
    """Return JAX's time over ours with its compilation, over the epochs of this fit."""
    if not record["compilation"]:
        return None
    one, n_steps = medians(record), record["shape"]["epochs"] * record["n_steps"]
    total = one["JAX"] * n_steps + median(record["compilation"])
    return total / (one["skscratch, float32"] * n_steps)


def targets(records: list[dict[str, Any]]) -> str:
    """Return the table of what was aimed at."""
    found = [(tuple(record["shape"]["hidden"]), medians(record)) for record in records]
    of_network = dict(found)
    rows: list[list[Any]] = []

    def add(
        text: str,
        value: float | None,
        low: float = -math.inf,
        high: float = math.inf,
        bound: float | None = None,
    ) -> None:
        aim = f">= {low:g}" if math.isfinite(low) else f"<= {high:g}"
        shown = "-" if value is None or math.isnan(value) else number(value)
        most = "" if bound is None else number(bound)
        rows.append([text, aim, shown, most, verdict(value, low, high)])

    def against(theirs: str, ours: str, least_width: int = 0) -> list[float]:
        return [
            one[theirs] / one[ours]
            for hidden, one in found
            if theirs in one and max(hidden) >= least_width
        ]

    for dtype, mean, least in (("float64", 3.8, 2.5), ("float32", 2.8, 1.3)):
        theirs = f"scikit-learn, {dtype}"
        values, bounds = against(theirs, f"skscratch, {dtype}"), against(theirs, "floor, float32")
        add(
            f"scikit-learn, {dtype} input: geometric mean",
            geometric_mean(values) if len(records) == len(SHAPES) else None,
            low=mean,
            bound=geometric_mean(bounds),
        )
        add(f"scikit-learn, {dtype} input: least", min(values), low=least, bound=min(bounds))
    ours = "skscratch, float32"
    add(
        "PyTorch eager: least",
        min(against("PyTorch", ours), default=None),
        low=1.5,
        bound=min(against("PyTorch", "floor, float32"), default=None),
    )
    add(
        "PyTorch eager, over the ratio of the products where its own are faster: least",
        min(
            (
                one["PyTorch"] / one[ours] / min(1.0, one[TORCH_FLOOR] / one["floor, float32"])
                for _, one in found
                if TORCH_FLOOR in one
            ),
            default=None,
        ),
        low=1.5,
    )
    add("JAX from 100 units: least", min(against("JAX", ours, 100), default=None), low=1)
    small = [record for record in records if tuple(record["shape"]["hidden"]) == (16, 8)]
    add("JAX with compilation, (16, 8)", compiled_ratio(small[0]) if small else None, low=1)
    for hidden, most in (
        ((1024, 1024), 1.12),
        ((512, 256), 1.3),
        ((256, 256, 256), 1.3),
        ((128, 128), 1.6),
    ):
        one = of_network.get(hidden)
        value = one[ours] / one["floor, float32"] if one else None
        add(f"floor, {hidden}: ours over it", value, high=most)
    one = of_network.get((16, 8))
    value = 1e6 * (one[ours] - one["floor, float32"]) if one else None
    add("floor, (16, 8): microseconds of a step beyond it", value, high=28)
    header = ["rival", "target", "found", "by the products alone", ""]
    return (
        "Targets; the last but one column is what NumPy's products in float32 would reach without "
        "anything else, the most that is possible with this BLAS\n\n" + table(header, rows)
    )


def summarize_dtypes(saved: dict[str, Any]) -> str:
    """Return the table of ours in both dtypes."""
    rows = []
    for record in saved["records"]:
        one = medians(record)
        n_steps = record["n_steps"]
        rows.append(
            [
                label(record),
                *(number(1e3 * one[dtype] * n_steps) for dtype in DTYPES),
                number(one["float64"] / one["float32"]),
            ]
        )
    header = ["rows x features, hidden layers", *DTYPES, "float64 / float32"]
    return "Milliseconds of an epoch of ours, by dtype (median)\n\n" + table(header, rows)


def main() -> None:
    """Measure the shapes and print the tables."""
    parser = make_parser(__doc__, repeats=5)
    parser.add_argument(
        "--shapes",
        type=int,
        nargs="+",
        choices=range(1, len(SHAPES) + 1),
        help="numbers of the shapes to measure, from 1 (default: all)",
    )
    parser.add_argument(
        "--budget",
        type=float,
        default=45.0,
        help="seconds after which a shape is repeated no more than three times (default: 45)",
    )
    parser.add_argument(
        "--dtypes",
        action="store_true",
        help="compare ours in float64 and in float32 only, on two small shapes more; the rule of "
        "dtype='auto' rests on this",
    )
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    shapes = [SHAPES[number - 1] for number in arguments.shapes or range(1, len(SHAPES) + 1)]
    if arguments.dtypes:
        shapes = SMALL_SHAPES + shapes
    if arguments.quick:
        shapes = [shape._replace(epochs=1) for shape in shapes if max(shape.hidden) <= 128]
        arguments.repeats = 1
    contestants = compare_dtypes() if arguments.dtypes else find_contestants()
    print(describe(environment()))
    warm_up(contestants)
    records = []
    for shape in shapes:
        print(f"measuring {shape.hidden} ...", file=sys.stderr, flush=True)
        records.append(measure(shape, contestants, arguments.repeats, arguments.budget))
    if arguments.dtypes:
        finish("dtypes", arguments, records, summarize_dtypes)
    else:
        finish("fit", arguments, records, summarize)


if __name__ == "__main__":
    main()
