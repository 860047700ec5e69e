"""What the benchmarks of quality share: sets, splits, runs, records, and statistics of them."""

import argparse
import hashlib
import importlib.metadata
import json
import math
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import sklearn.datasets
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.metrics import log_loss, r2_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

import _text
import skscratch
from _common import MISSING, RESULTS, describe, environment, make_parser, number

CLASSIFICATION, REGRESSION = TASKS = ("classification", "regression")
DEVELOPMENT, CONFIRMATION = HALVES = ("development", "confirmation")
MAIN, SMALL, SAMPLES, BUNDLED = ("main", "small sets", "samples", "bundled")
BUNDLED_TASKS = dict.fromkeys(("iris", "wine", "breast_cancer", "digits"), CLASSIFICATION)
BUNDLED_TASKS["diabetes"] = REGRESSION
SAMPLE_ROWS = (100, 300, 600, 900)
MEASURES = {
    CLASSIFICATION: {"error": "error", "loss": "log loss"},
    REGRESSION: {"error": "1 - R2", "loss": "normalized RMSE"},
}
TEST_SHARE = 0.25
MOST_TRAINING_ROWS = 10_000
LEAST_LOSS = 1e-6  # what a loss of nothing counts as, for the same reason as half a test row
LEAST_ON_FEW_ROWS = {"error": 0.01, "loss": 0.02}  # below, a ratio is that of a test row or two
N_RESAMPLES = 2_000


class System(NamedTuple):
    """What is compared: a name, and for each task what makes an estimator from `random_state`."""

    name: str
    make: dict[str, Callable[..., Any]]
    package: str = "skscratch"
    raw: bool = False
    """Whether numbers are left as they are."""
    takes_sparse: bool = True


class Entry(NamedTuple):
    """A set of the manifest, of text or of scikit-learn, or a sample of one."""

    name: str
    task: str
    half: str
    position: int
    family: str = MAIN
    path: Path | None = None
    """The file, if it is one."""
    categorical: tuple[str, ...] = ()
    n_train: int | None = None
    """Rows of a sample to train on."""


class Job(NamedTuple):
    """A run to do: a system on a set with a seed."""

    entry: Entry
    seed: int
    system: str
    n_jobs: int
    quick: bool

    @property
    def key(self) -> tuple:
        """What tells runs apart."""
        return self.entry.name, self.seed, self.system, self.quick


class Data(NamedTuple):
    """A set, split and transformed; X is scaled and raw, arrays or for text CSR matrices."""

    X_train: dict[bool, Any]
    X_test: dict[bool, Any]
    y_train: np.ndarray
    y_test: np.ndarray


class Estimate(NamedTuple):
    """A statistic and its interval."""

    value: float
    low: float
    high: float
    n_sets: int


def read_sets(folder: Path, family: str = MAIN) -> dict[str, Entry]:
    """Return the sets of a manifest by name, and with the main ones that of text.

    Those of a task belong by turns to the development and to the confirmation half.
    """
    path = folder / "MANIFEST.csv"
    if not path.exists():
        raise SystemExit(f"The datasets are {MISSING}: there is no {path}.")
    manifest = pd.read_csv(path)
    turns = manifest.groupby("task").cumcount() % 2
    sets = {}
    for position, (row, turn) in enumerate(zip(manifest.itertuples(), turns, strict=True)):
        columns = row.categorical_cols
        sets[row.name] = Entry(
            row.name,
            row.task,
            HALVES[turn],
            position,
            family,
            folder / f"{row.name}.csv.gz",
            tuple(columns.split("|")) if isinstance(columns, str) else (),
        )
    if family == MAIN:
        sets[_text.NAME] = Entry(_text.NAME, CLASSIFICATION, DEVELOPMENT, len(sets))
    return sets


def read_few_rows(large: Path, small: Path) -> dict[str, Entry]:
    """Return the small sets, samples of the large ones, and those of scikit-learn, by name."""
    sets = read_sets(small, SMALL)
    sizes = pd.read_csv(large / "MANIFEST.csv").set_index("name")["n_rows"]
    for entry in read_sets(large).values():
        for n_rows in SAMPLE_ROWS:
            if entry.path and n_rows <= (1 - TEST_SHARE) * sizes[entry.name]:
                name = f"{entry.name}-{n_rows}"
                sets[name] = entry._replace(
                    name=name, family=SAMPLES, n_train=n_rows, position=len(sets)
                )
    for turn, (name, task) in enumerate(BUNDLED_TASKS.items()):
        sets[name] = Entry(name, task, HALVES[turn % 2], len(sets), BUNDLED)
    return sets


def choose(sets: Mapping[str, Entry], wanted: str | None, quick: bool) -> list[str]:
    """Return the names that ``--sets`` means."""
    if wanted is None and quick:
        kinds = [(entry.family, entry.task) for entry in sets.values()]
        return [name for i, name in enumerate(sets) if kinds[:i].count(kinds[i]) < 2]
    if wanted in (None, "all"):
        return list(sets)
    names = [name for name, entry in sets.items() if wanted in (entry.half, entry.family)]
    if names:
        return names
    names = wanted.split(",")
    unknown = sorted(set(names) - set(sets))
    if unknown:
        raise SystemExit(f"{', '.join(unknown)} not in the manifest; it has {', '.join(sets)}")
    return names


@lru_cache(maxsize=1)  # samples of a set follow each other
def read(path: Path | None, name: str, categorical: tuple[str, ...]) -> tuple[pd.DataFrame, Any]:
    """Read a set from its file, or from scikit-learn."""
    if path is None:
        load = getattr(sklearn.datasets, f"load_{name}")
        X, y = load(return_X_y=True, as_frame=True)
    else:
        X = pd.read_csv(path, dtype=dict.fromkeys(categorical, object))
        y = X.pop("target")
    return X, y.to_numpy()


@lru_cache(maxsize=1)  # the systems follow each other on the same split
def prepare(entry: Entry, seed: int, quick: bool) -> Data:
    """Read, split and transform a set."""
    if entry.name == _text.NAME:
        return prepare_text(seed, quick)
    categorical = entry.categorical
    X, y = read(entry.path, "" if entry.path else entry.name, categorical)
    if entry.task == CLASSIFICATION:
        y = LabelEncoder().fit_transform(y)
    n_test = round(TEST_SHARE * len(X))
    sizes = entry.n_train or min(len(X) - n_test, MOST_TRAINING_ROWS), n_test
    X_train, X_test, y_train, y_test = split(X, y, sizes, seed, quick, entry.task)
    numeric = [column for column in X if column not in categorical]
    train, test = {}, {}
    for raw in (False, True):
        fill = SimpleImputer(strategy="median")
        transformer = make_column_transformer(
            (fill if raw else make_pipeline(fill, StandardScaler()), numeric),
            (
                make_pipeline(
                    SimpleImputer(strategy="most_frequent"),
                    OneHotEncoder(handle_unknown="ignore", sparse_output=False),
                ),
                list(categorical),
            ),
            sparse_threshold=0,
        )
        train[raw] = np.ascontiguousarray(transformer.fit_transform(X_train), dtype=np.float64)
        test[raw] = np.ascontiguousarray(transformer.transform(X_test), dtype=np.float64)
    return Data(train, test, y_train, y_test)


def prepare_text(seed: int, quick: bool) -> Data:
    """Split the set of text and count its words; there is nothing to scale."""
    texts, labels = _text.read_documents()
    n_test = math.ceil(TEST_SHARE * len(texts))
    sizes = len(texts) - n_test, n_test
    y = LabelEncoder().fit_transform(labels)
    train, test, y_train, y_test = split(texts, y, sizes, seed, quick, CLASSIFICATION)
    vectorizer = _text.make_vectorizer()
    X_train, X_test = vectorizer.fit_transform(train), vectorizer.transform(test)
    both = (False, True)
    return Data(dict.fromkeys(both, X_train), dict.fromkeys(both, X_test), y_train, y_test)


def split(
    X: Any, y: np.ndarray, sizes: tuple[int, int], seed: int, quick: bool, task: str
) -> list[Any]:
    """Draw so many rows to train and to test on, with the same shares of the classes."""
    n_train, n_test = (min(size, 500) for size in sizes) if quick else sizes
    return train_test_split(
        X,
        y,
        train_size=n_train,
        test_size=n_test,
        random_state=seed,
        stratify=y if task == CLASSIFICATION else None,
    )


_warm: set[tuple[str, str]] = set()


def warm_up(system: System, task: str) -> None:
    """Pay on a few rows, off the clock, for what a library does when it is first used."""
    if (system.name, task) in _warm:
        return
    _warm.add((system.name, task))
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 3)), np.arange(60) % 2
    estimator = system.make[task](random_state=0)
    estimator.fit(X, y if task == CLASSIFICATION else y + 0.5)
    estimator.predict(X)


@cache
def versions(package: str) -> dict[str, str]:
    """Return what a system's results depend on; for ours, whose version stands, its sources."""
    found = {name: importlib.metadata.version(name) for name in ("numpy", "scikit-learn")}
    if package == "skscratch":
        folder = Path(skscratch.__file__).parent
        digest = hashlib.sha256()
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.read_bytes())
        found |= {package: skscratch.__version__, "sources": digest.hexdigest()[:12]}
    elif package == "pytabkit":
        found |= {name: importlib.metadata.version(name) for name in (package, "torch")}
    return found


def measure(job: Job, systems: Mapping[str, System]) -> dict[str, Any]:
    """Return the record of a run; a fit that raises is one too."""
    warnings.simplefilter("ignore")  # of convergence above all, which would bury the progress
    system = systems[job.system]
    task = job.entry.task
    data = prepare(job.entry, job.seed, job.quick)
    X_train, X_test = data.X_train[system.raw], data.X_test[system.raw]
    record = {
        "data": job.entry.name,
        "task": task,
        "half": job.entry.half,
        "family": job.entry.family,
        "position": job.entry.position,
        "seed": job.seed,
        "system": job.system,
        "quick": job.quick,
        "n_train": X_train.shape[0],
        "n_test": X_test.shape[0],
        "n_features": X_train.shape[1],
        "jobs": job.n_jobs,
        "versions": versions(system.package),
    }
    try:
        # Holds OpenMP, which the trees use, to one thread too.
        with threadpool_limits(limits=1):
            warm_up(system, task)
            estimator = system.make[task](random_state=job.seed)
            wall, started = time.perf_counter(), time.process_time()
            estimator.fit(X_train, data.y_train)
            record["fit_seconds"] = time.process_time() - started
            record["fit_wall_seconds"] = time.perf_counter() - wall
            started = time.process_time()
            predicted = estimator.predict(X_test)
            record["predict_seconds"] = time.process_time() - started
            probabilities = estimator.predict_proba(X_test) if task == CLASSIFICATION else None
    except Exception as error:
        return record | {"failed": f"{type(error).__name__}: {error}"}
    if probabilities is None:
        if not np.isfinite(predicted).all():
            return record | {"failed": "predictions are not finite"}
        wrong = 1 - r2_score(data.y_test, predicted)
        loss = wrong**0.5
    else:
        # A sample may lack a class, whose log loss would drown all others.
        known = np.isin(data.y_test, data.y_train)
        wrong = np.mean((predicted != data.y_test)[known])
        # In float64, since rounding to float32 keeps rows from adding up to 1.
        shares = np.asarray(probabilities, dtype=np.float64)[known]
        shares /= shares.sum(axis=1, keepdims=True)
        loss = log_loss(data.y_test[known], shares, labels=estimator.classes_)
    inner = getattr(estimator, "regressor_", estimator)
    epochs = getattr(inner, "n_iter_", None)
    return record | {
        "error": float(wrong),
        "loss": float(loss),
        "epochs": None if epochs is None else int(epochs),
    }


def run(
    jobs: Sequence[Job], n_jobs: int, systems: Mapping[str, System]
) -> Iterator[dict[str, Any]]:
    """Yield the records of runs as they end, from so many processes."""
    record = partial(measure, systems=systems)
    if n_jobs == 1:
        yield from map(record, jobs)
        return
    # Forking would carry over thread pools that have started.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(n_jobs, mp_context=context) as pool:
        futures = [pool.submit(record, job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def read_results(folder: Path, name: str) -> dict[str, Any] | None:
    """Return the environment of the last run and all records, None if there are none.

    Of several records of a run the last one counts.
    """
    path = folder / f"{name}.jsonl"
    if not path.exists():
        return None
    saved: dict[str, Any] = {"environment": None, "records": []}
    records = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue  # half a line, of a run that was killed
        if "environment" in entry:
            saved["environment"] = entry["environment"]
        else:
            entry.setdefault("family", MAIN)
            records[_key(entry)] = entry
    saved["records"] = list(records.values())
    saved["quick"] = any(record["quick"] for record in saved["records"])
    return saved


def _key(record: dict[str, Any]) -> tuple:
    return record["data"], record["seed"], record["system"], record["quick"]


class Store:
    """The file of results, or only a list if there is no folder."""

    def __init__(self, folder: Path | None, name: str):
        self.path = folder / f"{name}.jsonl" if folder else None
        saved = read_results(folder, name) if folder else None
        self.records = {_key(record): record for record in saved["records"]} if saved else {}

    def has(self, job: Job, systems: Mapping[str, System]) -> bool:
        """Return whether a run has ended well, with the versions that there are now."""
        record = self.records.get(job.key, {"failed": None})
        now = versions(systems[job.system].package)
        return "failed" not in record and record["versions"] == now

    def drop(self, keys: Iterable[tuple]) -> None:
        """Forget runs, in the file too, so that an interrupted fresh run does not find them."""
        found = [key for key in keys if self.records.pop(key, None)]
        if found and self.path:
            new = self.path.with_suffix(".new")
            lines = map(json.dumps, self.records.values())
            new.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            new.replace(self.path)

    def begin(self, env: dict[str, Any]) -> None:
        """Note the environment of the records to come."""
        # A run that was killed may have left half a line.
        if self.path and self.path.exists() and not self.path.read_bytes().endswith(b"\n"):
            self.path.write_bytes(self.path.read_bytes() + b"\n")
        self._write({"environment": env})

    def add(self, record: dict[str, Any]) -> None:
        """Keep a record."""
        self.records[_key(record)] = record
        self._write(record)

    def _write(self, entry: dict[str, Any]) -> None:
        if self.path:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")


class Runs:
    """The records of some sets, as arrays."""

    def __init__(self, records: Iterable[dict[str, Any]]):
        found = [record for record in records if "failed" not in record]
        # They come in the order in which they ended.
        self.records = sorted(found, key=lambda record: (record["position"], record["seed"]))
        self.by_run = {(r["data"], r["seed"], r["system"]): r for r in self.records}
        self.sets = {record["data"]: record["task"] for record in self.records}
        self.seeds = sorted({record["seed"] for record in self.records})

    def of(
        self, task: str | None = None, half: str | None = None, family: str | None = None
    ) -> "Runs":
        """Return the runs of a task, a half and a family, None standing for all."""
        return Runs(
            record
            for record in self.records
            if task in (None, record["task"])
            and half in (None, record["half"])
            and family in (None, record["family"])
        )

    def values(self, name: str, systems: Sequence[str], measure: str) -> np.ndarray:
        """Return a set's values, a row for each seed that all of the systems have."""
        runs = ([self.by_run.get((name, seed, s)) for s in systems] for seed in self.seeds)
        found = [[_guarded(r, measure) for r in row] for row in runs if all(row)]
        return np.array(found, dtype=float).reshape(-1, len(systems))

    def estimate(
        self, statistic: Callable[[np.ndarray], np.ndarray], systems: Sequence[str], measure: str
    ) -> Estimate | None:
        """Return a statistic of the sets' means, of shape (..., sets, systems), if there are any.

        The interval is that of drawing sets with replacement, and seeds within each; a seed's
        values for the systems stay together, as they come from the same rows.
        """
        found = [self.values(name, systems, measure) for name in self.sets]
        found = [values for values in found if len(values)]
        if not found:
            return None
        value = float(statistic(np.array([values.mean(axis=0) for values in found])))
        n_seeds = np.array([len(values) for values in found])
        most = n_seeds.max()
        padded = np.stack([np.resize(values, (most, len(systems))) for values in found])
        rng = np.random.default_rng(0)
        sets = rng.integers(len(found), size=(N_RESAMPLES, len(found)))
        count = n_seeds[sets][..., np.newaxis]
        seeds = (rng.random((*sets.shape, most)) * count).astype(int)
        drawn = padded[sets[..., np.newaxis], seeds]
        drawn = drawn * (np.arange(most) < count)[..., np.newaxis]
        low, high = np.quantile(statistic(drawn.sum(axis=2) / count), [0.025, 0.975])
        return Estimate(value, float(low), float(high), len(found))


def _guarded(record: dict[str, Any], measure: str) -> float:
    few_rows = record["family"] != MAIN and record["task"] == CLASSIFICATION
    if few_rows and measure in LEAST_ON_FEW_ROWS:
        return max(record[measure], LEAST_ON_FEW_ROWS[measure])
    if measure == "error" and record["task"] == CLASSIFICATION:
        return max(record["error"], 0.5 / record["n_test"])
    return max(record[measure], LEAST_LOSS)


def relative(means: np.ndarray) -> np.ndarray:
    """Return the geometric mean over sets of the first system's means over the second's."""
    return np.exp(np.log(means[..., 0] / means[..., 1]).mean(axis=-1))


def total(means: np.ndarray) -> np.ndarray:
    """Return the first system's sum over the second's."""
    return means[..., 0].sum(axis=-1) / means[..., 1].sum(axis=-1)


def largest(means: np.ndarray) -> np.ndarray:
    """Return the largest ratio of the first system's means over the second's."""
    return (means[..., 0] / means[..., 1]).max(axis=-1)


def percent(ratio: float) -> str:
    """Return a ratio as a change."""
    change = 100 * (ratio - 1)
    return f"{change:+.1f} %" if abs(change) < 1_000 else f"{change:+.2g} %"


def share(value: float) -> str:
    """Return a share in percent."""
    return f"{100 * value:.0f} %"


def factor(value: float) -> str:
    """Return a ratio as a factor."""
    return f"{number(value)} x"


def show(estimate: Estimate | None, form: Callable[[float], str], n_sets: int) -> str:
    """Return an estimate with its interval, and with the number of sets if it is not of all."""
    if estimate is None:
        return "-"
    low, high = (
        form(bound).removesuffix(" %").removesuffix(" x") for bound in (estimate.low, estimate.high)
    )
    text = f"{form(estimate.value)} [{low}, {high}]"
    return text if estimate.n_sets == n_sets else f"{text}, {estimate.n_sets} sets"


def parse(
    doc: str, systems: Mapping[str, System], seeds: int, small: str | None = None
) -> argparse.Namespace:
    """Return the command line's arguments; ``doc`` is the help.

    ``small`` is "?" where a folder of small sets may follow, and "1" where it has to.
    """
    parser = make_parser(doc, repeats=seeds, option="--seeds")
    parser.add_argument("folder", type=Path, help="folder of the sets")
    if small:
        nargs = small if small == "?" else None
        parser.add_argument("small", type=Path, nargs=nargs, help="folder of the small sets")
    parser.add_argument(
        "--sets",
        help="all (the default), development, confirmation, a family, or names joined by commas",
    )
    parser.add_argument(
        "--only", help=f"systems joined by commas, of {', '.join(systems)} (default: all)"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, help="processes; above 1 times are noisier (default: 1)"
    )
    parser.add_argument("--fresh", action="store_true", help="measure again what is measured")
    arguments = parser.parse_args()
    arguments.only = arguments.only.split(",") if arguments.only else list(systems)
    unknown = set(arguments.only) - set(systems)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; choose from {', '.join(systems)}")
    if arguments.quick:
        arguments.seeds = 1
    return arguments


def conduct(
    name: str,
    arguments: argparse.Namespace,
    sets: Mapping[str, Entry],
    systems: Mapping[str, System],
    summarize: Callable[[dict[str, Any]], str],
) -> None:
    """Measure what is not measured yet, keep it in ``name.jsonl``, and print the tables."""
    names = choose(sets, arguments.sets, arguments.quick)
    env = environment()
    print(describe(env), flush=True)
    if os.environ.get("OMP_NUM_THREADS") != "1":
        print("Note: set OMP_NUM_THREADS=1, so that every library has one thread.")
    folder = arguments.output or (None if arguments.quick else RESULTS)
    store = Store(folder, name)
    jobs = [
        Job(sets[data], seed, key, arguments.jobs, arguments.quick)
        for seed in range(arguments.seeds)
        for data in names
        for key, system in systems.items()
        if key in arguments.only
        and sets[data].task in system.make
        and (data != _text.NAME or system.takes_sparse)
    ]
    if arguments.fresh:
        store.drop([job.key for job in jobs])
    jobs = [job for job in jobs if not store.has(job, systems)]
    if jobs:
        store.begin(env | {"jobs": arguments.jobs})
    for count, record in enumerate(run(jobs, arguments.jobs, systems), start=1):
        store.add(record)
        found = record.get("failed") or f"{record['error']:.4g}, {record['fit_seconds']:.2f} s"
        print(
            f"{count}/{len(jobs)} {record['data']}, seed {record['seed']}, "
            f"{systems[record['system']].name}: {found}",
            file=sys.stderr,
            flush=True,
        )
    # With what earlier runs have measured on these sets.
    shown = [
        record
        for record in store.records.values()
        if record["data"] in names and record["quick"] == arguments.quick
    ]
    print("\n" + summarize({"records": shown}))
    if arguments.quick:
        print("\nThis was a smoke run: its numbers mean nothing.")


def failures(saved: dict[str, Any], systems: Mapping[str, System]) -> list[str]:
    """Return what to say of the fits that failed, if any did."""
    lines = [
        f"- {systems[r['system']].name} on {r['data']}, seed {r['seed']}: {r['failed']}"
        for r in saved["records"]
        if "failed" in r
    ]
    return ["Fits that failed, and are not in the tables:\n\n" + "\n".join(lines)] if lines else []
