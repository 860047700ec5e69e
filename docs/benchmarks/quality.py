"""How well the defaults predict: ours, scikit-learn's, boosted trees and RealMLP.

Every system is as its constructor has it, with a random state and one thread: our network, also
without the `StandardScaler` in front of it; scikit-learn's MLP, also with `early_stopping=True`,
and for regression with a standardized target by `TransformedTargetRegressor`;
`HistGradientBoosting`; and RealMLP-TD-S of pytabkit, on the CPU.

A quarter of the rows tests and at most 10,000 of the others train, drawn anew for each seed, for
classification with the same shares of the classes. All systems get the same rows and the same
matrix, whose transformers saw the training rows only: numbers with gaps filled by the median and
standardized, categories with gaps filled by the most frequent one and one-hot. That the trees and
RealMLP can take categories as they are is not made use of. RealMLP sets a fifth of its rows apart
to choose the best of its epochs, as scikit-learn's early stopping does with a tenth.

Errors are 1 - accuracy and 1 - R2; a run without any error counts as half a test row, so that
ratios stay finite. The normalized RMSE is the RMSE over the standard deviation of the test target.
Each measure is averaged over the seeds of a set first. "Relative" is the geometric mean over the
sets of its ratio to scikit-learn's MLP, or to the rival that a row names, minus 1: negative is
better. Wins are sets with a lower error than that. Ranks are by error, 1 is best, among all systems
of a task but the one on raw X. In brackets are 95 % intervals of a bootstrap that draws sets, and
seeds within them. Times are process times of `fit` and `predict`, without the transformers, as
ratios of their sums over the sets.

The parts of our defaults were chosen on the development half, which is every other set of each task
in the order of the manifest, starting with the first. What they are on few rows (below 1,000, in
regression below 300) was chosen on samples of 200 to 1,000 rows of sets of both halves, and on sets
that come with scikit-learn. That the estimators refit on all rows, and that the schedule of that
training ends with it, was decided on all sets, by their test rows. The confirmation half has
therefore been seen, if not fitted to.

    OMP_NUM_THREADS=1 python docs/benchmarks/quality.py FOLDER

The folder has a ``MANIFEST.csv`` with the columns ``name``, ``task`` and ``categorical_cols``
(names joined by "|"), and a ``NAME.csv.gz`` for each set, in which ``target`` is what to predict.
Another set, ``text``, is made of docstrings, see ``_text.py``: a sparse matrix of 4,000 words'
tf-idf values, which the trees and RealMLP do not take.

Results are written to ``quality.jsonl`` one by one. A run that was interrupted goes on where it
stood, and what another version has measured, or other sources of ours, is measured again. With
``--jobs`` above 1 runs share the machine's caches and memory, and times are noisier.
"""

import argparse
import hashlib
import importlib.metadata
import importlib.util
import json
import logging
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.metrics import log_loss, r2_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

import _text
import skscratch
from _common import MISSING, RESULTS, describe, environment, make_parser, number, table, verdict
from skscratch import ScratchMLPClassifier, ScratchMLPRegressor

CLASSIFICATION, REGRESSION = TASKS = ("classification", "regression")
DEVELOPMENT, CONFIRMATION = HALVES = ("development", "confirmation")
MEASURES = {
    CLASSIFICATION: {"error": "error", "loss": "log loss"},
    REGRESSION: {"error": "1 - R2", "loss": "normalized RMSE"},
}
TEST_SHARE = 0.25
MOST_TRAINING_ROWS = 10_000
LEAST_LOSS = 1e-6  # what a loss of nothing counts as, for the same reason as half a test row
N_RESAMPLES = 2_000


class System(NamedTuple):
    """What is compared: a name, and for each task what makes an estimator from a seed."""

    name: str
    make: dict[str, Callable[[int], Any]]
    package: str = "scikit-learn"
    raw: bool = False
    """Whether numbers are left as they are."""
    takes_sparse: bool = True


def make_realmlp(kind: str, seed: int) -> Any:
    """Return RealMLP-TD-S; imported here since it may be missing."""
    import pytabkit

    # Its trainer announces each fit. The level holds only when it is set after the import.
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    estimator = getattr(pytabkit, f"RealMLP_TD_S_{kind}")
    return estimator(random_state=seed, n_threads=1, device="cpu")


OURS, OURS_RAW, MLP, MLP_SCALED, TREES, REALMLP = (
    "ours",
    "ours-raw",
    "mlp",
    "mlp-y-scaled",
    "trees",
    "realmlp",
)
SYSTEMS = {
    OURS: System(
        "skscratch",
        {
            CLASSIFICATION: lambda seed: ScratchMLPClassifier(random_state=seed),
            REGRESSION: lambda seed: ScratchMLPRegressor(random_state=seed),
        },
        "skscratch",
    ),
    OURS_RAW: System(
        "skscratch, raw X",
        {
            CLASSIFICATION: lambda seed: ScratchMLPClassifier(random_state=seed),
            REGRESSION: lambda seed: ScratchMLPRegressor(random_state=seed),
        },
        "skscratch",
        raw=True,
    ),
    MLP: System(
        "scikit-learn",
        {
            CLASSIFICATION: lambda seed: MLPClassifier(random_state=seed),
            REGRESSION: lambda seed: MLPRegressor(random_state=seed),
        },
    ),
    "mlp-early": System(
        "scikit-learn, early stopping",
        {
            CLASSIFICATION: lambda seed: MLPClassifier(early_stopping=True, random_state=seed),
            REGRESSION: lambda seed: MLPRegressor(early_stopping=True, random_state=seed),
        },
    ),
    MLP_SCALED: System(
        "scikit-learn, y scaled",
        {
            REGRESSION: lambda seed: TransformedTargetRegressor(
                MLPRegressor(random_state=seed), transformer=StandardScaler()
            )
        },
    ),
    TREES: System(
        "HistGradientBoosting",
        {
            CLASSIFICATION: lambda seed: HistGradientBoostingClassifier(random_state=seed),
            REGRESSION: lambda seed: HistGradientBoostingRegressor(random_state=seed),
        },
        takes_sparse=False,
    ),
    REALMLP: System(
        "RealMLP-TD-S",
        {
            CLASSIFICATION: lambda seed: make_realmlp("Classifier", seed),
            REGRESSION: lambda seed: make_realmlp("Regressor", seed),
        },
        "pytabkit",
        takes_sparse=False,
    ),
}


class Job(NamedTuple):
    """A run to do: a system on a set with a seed."""

    folder: Path
    data: str
    seed: int
    system: str
    n_jobs: int
    quick: bool

    @property
    def key(self) -> tuple:
        """What tells runs apart."""
        return self.data, self.seed, self.system, self.quick


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


def read_manifest(folder: Path) -> pd.DataFrame:
    """Return the manifest by name, that of text included, with the half each set belongs to."""
    path = folder / "MANIFEST.csv"
    if not path.exists():
        raise SystemExit(f"The datasets are {MISSING}: there is no {path}.")
    manifest = pd.read_csv(path).set_index("name")
    position = manifest.groupby("task").cumcount()
    manifest["half"] = np.where(position % 2 == 0, DEVELOPMENT, CONFIRMATION)
    manifest.loc[_text.NAME, ["task", "half"]] = CLASSIFICATION, DEVELOPMENT
    return manifest


def choose(manifest: pd.DataFrame, sets: str | None, quick: bool) -> list[str]:
    """Return the names that ``--sets`` means."""
    if sets is None and quick:
        return list(manifest.groupby("task").head(2).index)
    if sets in (None, "all"):
        return list(manifest.index)
    if sets in HALVES:
        return list(manifest.index[manifest["half"] == sets])
    names = sets.split(",")
    unknown = sorted(set(names) - set(manifest.index))
    if unknown:
        raise SystemExit(
            f"{', '.join(unknown)} not in the manifest; it has {', '.join(manifest.index)}"
        )
    return names


@lru_cache(maxsize=1)  # the systems follow each other on the same split
def prepare(folder: Path, name: str, seed: int, quick: bool) -> Data:
    """Read, split and transform a set."""
    if name == _text.NAME:
        return prepare_text(seed, quick)
    entry = read_manifest(folder).loc[name]
    columns = entry["categorical_cols"]
    categorical = columns.split("|") if isinstance(columns, str) else []
    X = pd.read_csv(folder / f"{name}.csv.gz", dtype=dict.fromkeys(categorical, object))
    y = X.pop("target").to_numpy()
    if entry["task"] == CLASSIFICATION:
        y = LabelEncoder().fit_transform(y)
    n_test = round(TEST_SHARE * len(X))
    n_train = min(len(X) - n_test, MOST_TRAINING_ROWS)
    if quick:
        n_train, n_test = min(n_train, 500), min(n_test, 500)
    X_train, X_test, y_train, y_test = train_test_split(
        X,
        y,
        train_size=n_train,
        test_size=n_test,
        random_state=seed,
        stratify=y if entry["task"] == CLASSIFICATION else None,
    )
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
                categorical,
            ),
            sparse_threshold=0,
        )
        train[raw] = np.ascontiguousarray(transformer.fit_transform(X_train), dtype=np.float64)
        test[raw] = np.ascontiguousarray(transformer.transform(X_test), dtype=np.float64)
    return Data(train, test, y_train, y_test)


def prepare_text(seed: int, quick: bool) -> Data:
    """Split the set of text and count its words; there is nothing to scale."""
    texts, labels = _text.read_documents()
    n_train, n_test = (500, 500) if quick else (None, TEST_SHARE)
    train, test, y_train, y_test = train_test_split(
        texts,
        LabelEncoder().fit_transform(labels),
        train_size=n_train,
        test_size=n_test,
        random_state=seed,
        stratify=labels,
    )
    vectorizer = _text.make_vectorizer()
    X_train, X_test = vectorizer.fit_transform(train), vectorizer.transform(test)
    return Data(
        dict.fromkeys((False, True), X_train),
        dict.fromkeys((False, True), X_test),
        y_train,
        y_test,
    )


@cache
def warm_up(make: Callable[[int], Any], task: str) -> None:
    """Pay on a few rows, off the clock, for what a library does when it is first used."""
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((60, 3)), np.arange(60) % 2
    estimator = make(0)
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


def measure(job: Job, systems: Mapping[str, System] = SYSTEMS) -> dict[str, Any]:
    """Return the record of a run; a fit that raises is one too."""
    warnings.simplefilter("ignore")  # of convergence above all, which would bury the progress
    system = systems[job.system]
    manifest = read_manifest(job.folder)
    task = manifest.loc[job.data, "task"]
    data = prepare(job.folder, job.data, job.seed, job.quick)
    X_train, X_test = data.X_train[system.raw], data.X_test[system.raw]
    record = {
        "data": job.data,
        "task": task,
        "half": manifest.loc[job.data, "half"],
        "position": manifest.index.get_loc(job.data),
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
            warm_up(system.make[task], task)
            estimator = system.make[task](job.seed)
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
        wrong = np.mean(predicted != data.y_test)
        # In float64, since rounding to float32 keeps rows from adding up to 1.
        shares = np.asarray(probabilities, dtype=np.float64)
        shares /= shares.sum(axis=1, keepdims=True)
        loss = log_loss(data.y_test, shares, labels=estimator.classes_)
    inner = getattr(estimator, "regressor_", estimator)
    epochs = getattr(inner, "n_iter_", None)
    return record | {
        "error": float(wrong),
        "loss": float(loss),
        "epochs": None if epochs is None else int(epochs),
    }


def run(
    jobs: Sequence[Job], n_jobs: int, measure: Callable[[Job], dict[str, Any]] = measure
) -> Iterator[dict[str, Any]]:
    """Yield the records of runs as they end, from so many processes."""
    if n_jobs == 1:
        yield from map(measure, jobs)
        return
    # Forking would carry over thread pools that have started.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(n_jobs, mp_context=context) as pool:
        futures = [pool.submit(measure, job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def read_results(folder: Path, name: str = "quality") -> dict[str, Any] | None:
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
            records[_key(entry)] = entry
    saved["records"] = list(records.values())
    saved["quick"] = any(record["quick"] for record in saved["records"])
    return saved


def _key(record: dict[str, Any]) -> tuple:
    return record["data"], record["seed"], record["system"], record["quick"]


class Store:
    """The file of results, or only a list if there is no folder."""

    def __init__(self, folder: Path | None, name: str = "quality"):
        self.path = folder / f"{name}.jsonl" if folder else None
        saved = read_results(folder, name) if folder else None
        self.records = {_key(record): record for record in saved["records"]} if saved else {}

    def has(self, job: Job, systems: Mapping[str, System] = SYSTEMS) -> bool:
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

    def of(self, task: str | None = None, half: str | None = None) -> "Runs":
        """Return the runs of a task or half, or of both."""
        return Runs(
            record
            for record in self.records
            if task in (None, record["task"]) and half in (None, record["half"])
        )

    @property
    def systems(self) -> list[str]:
        """The systems that have run, in the order of the tables."""
        found = {record["system"] for record in self.records}
        return [system for system in SYSTEMS if system in found]

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
    if measure == "error" and record["task"] == CLASSIFICATION:
        return max(record["error"], 0.5 / record["n_test"])
    return max(record[measure], LEAST_LOSS)


def relative(means: np.ndarray) -> np.ndarray:
    """Return the geometric mean over sets of the first system's means over the second's."""
    return np.exp(np.log(means[..., 0] / means[..., 1]).mean(axis=-1))


def wins(means: np.ndarray) -> np.ndarray:
    """Return the share of sets where the first system's mean is lower than the second's."""
    return (means[..., 0] < means[..., 1]).mean(axis=-1)


def total(means: np.ndarray) -> np.ndarray:
    """Return the first system's sum over the second's."""
    return means[..., 0].sum(axis=-1) / means[..., 1].sum(axis=-1)


def mean_rank(means: np.ndarray) -> np.ndarray:
    """Return the first system's mean rank among all."""
    return rankdata(means, axis=-1)[..., 0].mean(axis=-1)


def rank_difference(means: np.ndarray) -> np.ndarray:
    """Return the first system's mean rank minus the second's, among all."""
    ranks = rankdata(means, axis=-1)
    return (ranks[..., 0] - ranks[..., 1]).mean(axis=-1)


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


def compare(runs: Runs, task: str, pair: tuple[str, str]) -> list[str]:
    """Return one system's errors, wins and times relative to another's."""
    compared = [
        *((relative, measure, percent) for measure in MEASURES[task]),
        (wins, "error", share),
        (total, "fit_seconds", factor),
        (total, "predict_seconds", factor),
    ]
    return [
        show(runs.estimate(statistic, pair, measure), form, len(runs.sets))
        for statistic, measure, form in compared
    ]


def columns(task: str) -> list[str]:
    """Return the names of what `compare` returns."""
    names = MEASURES[task].values()
    return [*(f"relative {name}" for name in names), "wins", "fit time", "predict time"]


def base_table(runs: Runs, task: str) -> str:
    """Return every system relative to scikit-learn's MLP, and its rank."""
    rows = []
    for key, system in SYSTEMS.items():
        if task not in system.make:
            continue
        if key not in runs.systems:
            rows.append([system.name, *[MISSING] * (len(columns(task)) + 1)])
            continue
        rank = None
        if key != OURS_RAW:
            contest = [key, *(other for other in runs.systems if other not in (key, OURS_RAW))]
            rank = runs.estimate(mean_rank, contest, "error")
        cells = ["0", "0", "-", "1", "1"] if key == MLP else compare(runs, task, (key, MLP))
        rows.append([system.name, *cells, show(rank, "{:.2f}".format, len(runs.sets))])
    header = [f"{task}, {len(runs.sets)} sets", *columns(task), "mean rank"]
    return table(header, rows)


def duels_table(runs: Runs, task: str) -> str:
    """Return ours relative to every other rival."""
    rows = [
        [f"ours against {SYSTEMS[rival].name}", *compare(runs, task, (OURS, rival))]
        for rival in runs.systems
        if rival not in (OURS, OURS_RAW, MLP)
    ]
    return table([f"{task}, {len(runs.sets)} sets", *columns(task)], rows)


class Target(NamedTuple):
    """What is wanted of ours: a statistic against a rival, and its bound from above or below."""

    text: str
    task: str | None
    measure: str
    statistic: Callable[[np.ndarray], np.ndarray]
    rival: str
    form: Callable[[float], str]
    most: float = np.inf
    least: float = -np.inf
    ours: str = OURS

    @property
    def wanted(self) -> str:
        """The bound, as text."""
        sign, bound = ("<=", self.most) if self.most < np.inf else (">=", self.least)
        return f"{sign} {self.form(bound)}"

    def estimate(self, runs: Runs) -> Estimate | None:
        """Return what some runs say."""
        runs = runs.of(task=self.task)
        systems: Sequence[str] = (self.ours, self.rival)
        if self.statistic is rank_difference:
            # Among those that both tasks have, so that ranks mean the same in both.
            others = [
                s
                for s in runs.systems
                if s not in (*systems, OURS_RAW) and len(SYSTEMS[s].make) > 1
            ]
            systems = [*systems, *others]
        return runs.estimate(self.statistic, systems, self.measure)


TARGETS = (
    Target("error", CLASSIFICATION, "error", relative, MLP, percent, most=0.75),
    Target("wins", CLASSIFICATION, "error", wins, MLP, share, least=0.85),
    Target("log loss", CLASSIFICATION, "loss", relative, MLP, percent, most=0.75),
    Target("fit time", CLASSIFICATION, "fit_seconds", total, MLP, factor, most=1.0),
    Target("1 - R2", REGRESSION, "error", relative, MLP, percent, most=0.33),
    Target("wins", REGRESSION, "error", wins, MLP, share, least=0.9),
    Target("1 - R2", REGRESSION, "error", relative, MLP_SCALED, percent, most=0.67),
    Target("fit time", REGRESSION, "fit_seconds", total, MLP_SCALED, factor, most=1.5),
    *(
        Target(
            f"{MEASURES[task]['error']} on raw X",
            task,
            "error",
            relative,
            OURS,
            percent,
            most=1.03,
            ours=OURS_RAW,
        )
        for task in TASKS
    ),
    Target("mean rank, difference", None, "error", rank_difference, TREES, "{:.2f}".format, most=0),
    Target("error", CLASSIFICATION, "error", relative, REALMLP, percent, most=1.03),
    Target("log loss", CLASSIFICATION, "loss", relative, REALMLP, percent, most=0.75),
    Target("fit time", CLASSIFICATION, "fit_seconds", total, REALMLP, factor, most=0.25),
    Target("1 - R2", REGRESSION, "error", relative, REALMLP, percent, most=1.03),
    Target("fit time", REGRESSION, "fit_seconds", total, REALMLP, factor, most=0.25),
)


def targets_table(runs: Runs) -> str:
    """Return what is wanted of ours, and whether it is so, on each half and on all sets."""
    rows = []
    for target in TARGETS:
        found = [target.estimate(runs.of(half=half)) for half in (*HALVES, None)]
        value = found[-1].value if found[-1] else None
        if target.statistic is rank_difference and value == 0:
            judged = "missed"  # a tie is not ahead
        else:
            judged = verdict(value, low=target.least, high=target.most)
        rows.append(
            [
                f"{target.text}, {target.task or 'both tasks'}",
                SYSTEMS[target.rival].name,
                target.wanted if target.statistic is not rank_difference else "< 0",
                *(target.form(one.value) if one else "-" for one in found[:2]),
                show(found[-1], target.form, len(runs.of(task=target.task).sets)),
                judged,
            ]
        )
    header = ["target", "against", "wanted", *HALVES, "all sets", "verdict on all"]
    return table(header, rows)


def sets_table(runs: Runs, task: str, measure: str) -> str:
    """Return the mean of a measure for each set and system."""
    runs = runs.of(task=task)
    systems = [system for system in runs.systems if task in SYSTEMS[system].make]
    rows = []
    for name in runs.sets:
        record = next(record for record in runs.records if record["data"] == name)
        means = [runs.values(name, [system], measure) for system in systems]
        rows.append(
            [
                f"{name} ({record['half']})",
                f"{record['n_train']:,} x {record['n_features']}",
                *(number(values.mean()) if len(values) else "-" for values in means),
            ]
        )
    header = [MEASURES[task][measure], "training", *(SYSTEMS[system].name for system in systems)]
    return table(header, rows)


def summarize(saved: dict[str, Any]) -> str:
    """Return the tables of a run."""
    runs = Runs(saved["records"])
    n_runs = len({(record["data"], record["seed"]) for record in runs.records})
    parts = [
        f"{len(runs.sets)} sets, seeds {', '.join(map(str, runs.seeds))}; {n_runs} splits in all.",
        "### Targets",
        targets_table(runs),
    ]
    for title, half in (("All sets", None), *((f"The {half} half", half) for half in HALVES)):
        part = runs.of(half=half)
        tables = [
            make(part.of(task=task), task)
            for task in TASKS
            if part.of(task=task).sets
            for make in (base_table, duels_table)
        ]
        parts += [f"### {title}", *tables] if tables else []
    parts.append("### Set by set")
    for task in TASKS:
        if runs.of(task).sets:
            parts += [sets_table(runs, task, measure) for measure in MEASURES[task]]
    failed = [record for record in saved["records"] if "failed" in record]
    if failed:
        lines = [
            f"- {SYSTEMS[r['system']].name} on {r['data']}, seed {r['seed']}: {r['failed']}"
            for r in failed
        ]
        parts.append("Fits that failed, and are not in the tables:\n\n" + "\n".join(lines))
    for system in runs.systems:
        seeds = sorted({r["seed"] for r in runs.records if r["system"] == system})
        if seeds != runs.seeds:
            name = SYSTEMS[system].name
            parts.append(f"Note: {name} ran with the seeds {', '.join(map(str, seeds))} only.")
    most = max((record["jobs"] for record in saved["records"]), default=1)
    if most > 1:
        parts.append(f"Note: up to {most} runs were measured at a time, so that times are noisy.")
    kinds = {json.dumps(r["versions"], sort_keys=True): r["versions"] for r in saved["records"]}
    for package in ("scikit-learn", "numpy", "sources", "pytabkit"):
        found = sorted({kind[package] for kind in kinds.values() if package in kind})
        if len(found) > 1:
            parts.append(f"Note: the records are of several {package}: {', '.join(found)}.")
    return "\n\n".join(parts)


def parse() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = make_parser(__doc__, repeats=5, option="--seeds")
    parser.add_argument("folder", type=Path, help="folder of the sets")
    parser.add_argument(
        "--sets", help="all (the default), development, confirmation, or names joined by commas"
    )
    parser.add_argument(
        "--only", help=f"systems joined by commas, of {', '.join(SYSTEMS)} (default: all)"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, help="processes; above 1 times are noisier (default: 1)"
    )
    parser.add_argument("--fresh", action="store_true", help="measure again what is measured")
    arguments = parser.parse_args()
    arguments.only = arguments.only.split(",") if arguments.only else list(SYSTEMS)
    unknown = set(arguments.only) - set(SYSTEMS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; choose from {', '.join(SYSTEMS)}")
    if arguments.quick:
        arguments.seeds = 1
    return arguments


def main() -> None:
    """Measure what is not measured yet, and print the tables."""
    arguments = parse()
    manifest = read_manifest(arguments.folder)
    names = choose(manifest, arguments.sets, arguments.quick)
    systems = [system for system in SYSTEMS if system in arguments.only]
    if REALMLP in systems and importlib.util.find_spec("pytabkit") is None:
        print(f"{SYSTEMS[REALMLP].name} is {MISSING}: pytabkit is not installed.", file=sys.stderr)
        systems.remove(REALMLP)
    env = environment()
    print(describe(env), flush=True)
    if os.environ.get("OMP_NUM_THREADS") != "1":
        print("Note: set OMP_NUM_THREADS=1, so that every library has one thread.")
    folder = arguments.output or (None if arguments.quick else RESULTS)
    store = Store(folder)
    jobs = [
        Job(arguments.folder, name, seed, system, arguments.jobs, arguments.quick)
        for seed in range(arguments.seeds)
        for name in names
        for system in systems
        if manifest.loc[name, "task"] in SYSTEMS[system].make
        and (name != _text.NAME or SYSTEMS[system].takes_sparse)
    ]
    if arguments.fresh:
        store.drop([job.key for job in jobs])
    jobs = [job for job in jobs if not store.has(job)]
    if jobs:
        store.begin(env | {"jobs": arguments.jobs})
    for count, record in enumerate(run(jobs, arguments.jobs), start=1):
        store.add(record)
        found = record.get("failed") or f"{record['error']:.4g}, {record['fit_seconds']:.2f} s"
        print(
            f"{count}/{len(jobs)} {record['data']}, seed {record['seed']}, "
            f"{SYSTEMS[record['system']].name}: {found}",
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


if __name__ == "__main__":
    main()
