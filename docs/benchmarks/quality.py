"""How well the defaults predict: ours, scikit-learn's, boosted trees and RealMLP.

Every system is as its constructor has it, with a random state and one thread: ours, networks side
by side, also without the `StandardScaler` in front of it, and as a single network
(`n_networks=1`); scikit-learn's MLP, also with `early_stopping=True`, and for regression with a
standardized target by `TransformedTargetRegressor`; `HistGradientBoosting`; and RealMLP-TD-S of
pytabkit, on the CPU. RealMLP takes hours: its records may be of an earlier run than the others, on
the same splits.

A quarter of the rows tests and at most 10,000 of the others train, drawn anew for each seed, for
classification with the same shares of the classes. All systems get the same rows and the same
matrix, whose transformers saw the training rows only: numbers with gaps filled by the median and
standardized, categories with gaps filled by the most frequent one and one-hot. That the trees and
RealMLP can take categories as they are is not made use of. RealMLP sets a fifth of its rows apart
to choose the best of its epochs, as scikit-learn's early stopping does with a tenth. Each of our
networks leaves out a fold, an eighth of the rows, and these choose the epoch; a single network
trains on all rows to the end.

Errors are 1 - accuracy and 1 - R2; a run without any error counts as half a test row, so that
ratios stay finite. The normalized RMSE is the RMSE over the standard deviation of the test target.
Each measure is averaged over the seeds of a set first. "Relative" is the geometric mean over the
sets of its ratio to scikit-learn's MLP, or to the rival that a row names, minus 1: negative is
better. Wins are sets with a lower error than that. Ranks are by error, 1 is best, among all systems
of a task but the one on raw X and the single network. In brackets are 95 % intervals of a bootstrap
that draws sets, and seeds within them. Times are process times of `fit` and `predict`, without the
transformers, as ratios of their sums over the sets.

The defaults were chosen on development halves: of these sets, which is every other set of each task
in the order of the manifest, starting with the first, of samples of them, and of the small sets of
``small.py``; and on synthetic shapes (moons, spirals and the like) of 60 and 600 rows. The whole
confirmation halves were looked at twice, for networks of two layers and of three. Versions before
had been compared on them, too: they have been seen, if not fitted to.

    OMP_NUM_THREADS=1 python docs/benchmarks/quality.py FOLDER

The folder has a ``MANIFEST.csv`` with the columns ``name``, ``task`` and ``categorical_cols``
(names joined by "|"), and a ``NAME.csv.gz`` for each set, in which ``target`` is what to predict.
Another set, ``text``, is made of docstrings, see ``_text.py``: a sparse matrix of 4,000 words'
tf-idf values, which the trees and RealMLP do not take.

Results are written to ``quality.jsonl`` one by one. A run that was interrupted goes on where it
stood, and what another version has measured, or other sources of ours, is measured again. With
``--jobs`` above 1 runs share the machine's caches and memory, and times are noisier.
"""

import importlib.util
import json
import logging
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import rankdata
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.preprocessing import StandardScaler

from _common import MISSING, number, table, verdict
from _protocol import (
    CLASSIFICATION,
    HALVES,
    MEASURES,
    REGRESSION,
    TASKS,
    Estimate,
    Runs,
    System,
    conduct,
    factor,
    failures,
    parse,
    percent,
    read_sets,
    relative,
    share,
    show,
    total,
)
from skscratch import ScratchMLPClassifier, ScratchMLPRegressor


def make_realmlp(kind: str, random_state: int) -> Any:
    """Return RealMLP-TD-S; imported here since it may be missing."""
    import pytabkit

    # Its trainer announces each fit. The level holds only when it is set after the import.
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    estimator = getattr(pytabkit, f"RealMLP_TD_S_{kind}")
    return estimator(random_state=random_state, n_threads=1, device="cpu")


def make_scaled_mlp(random_state: int) -> Any:
    """Return scikit-learn's MLP with a standardized target."""
    mlp = MLPRegressor(random_state=random_state)
    return TransformedTargetRegressor(mlp, transformer=StandardScaler())


OURS, OURS_RAW, OURS_SINGLE, MLP, MLP_SCALED, TREES, REALMLP = (
    "ours",
    "ours-raw",
    "ours-single",
    "mlp",
    "mlp-y-scaled",
    "trees",
    "realmlp",
)
OUR_CLASSES = {CLASSIFICATION: ScratchMLPClassifier, REGRESSION: ScratchMLPRegressor}
VARIANTS = (OURS_RAW, OURS_SINGLE)
MLPS = {CLASSIFICATION: MLPClassifier, REGRESSION: MLPRegressor}
SKLEARN = "scikit-learn"
SYSTEMS = {
    OURS: System("skscratch", OUR_CLASSES),
    OURS_RAW: System("skscratch, raw X", OUR_CLASSES, raw=True),
    OURS_SINGLE: System(
        "skscratch, one network",
        {task: partial(ours, n_networks=1) for task, ours in OUR_CLASSES.items()},
    ),
    MLP: System("scikit-learn", MLPS, SKLEARN),
    "mlp-early": System(
        "scikit-learn, early stopping",
        {task: partial(mlp, early_stopping=True) for task, mlp in MLPS.items()},
        SKLEARN,
    ),
    MLP_SCALED: System("scikit-learn, y scaled", {REGRESSION: make_scaled_mlp}, SKLEARN),
    TREES: System(
        "HistGradientBoosting",
        {
            CLASSIFICATION: HistGradientBoostingClassifier,
            REGRESSION: HistGradientBoostingRegressor,
        },
        SKLEARN,
        takes_sparse=False,
    ),
    REALMLP: System(
        "RealMLP-TD-S",
        {
            CLASSIFICATION: partial(make_realmlp, "Classifier"),
            REGRESSION: partial(make_realmlp, "Regressor"),
        },
        "pytabkit",
        takes_sparse=False,
    ),
}


def systems_of(runs: Runs) -> list[str]:
    """Return the systems that have run, in the order of the tables."""
    found = {record["system"] for record in runs.records}
    return [system for system in SYSTEMS if system in found]


def wins(means: np.ndarray) -> np.ndarray:
    """Return the share of sets where the first system's mean is lower than the second's."""
    return (means[..., 0] < means[..., 1]).mean(axis=-1)


def mean_rank(means: np.ndarray) -> np.ndarray:
    """Return the first system's mean rank among all."""
    return rankdata(means, axis=-1)[..., 0].mean(axis=-1)


def rank_difference(means: np.ndarray) -> np.ndarray:
    """Return the first system's mean rank minus the second's, among all."""
    ranks = rankdata(means, axis=-1)
    return (ranks[..., 0] - ranks[..., 1]).mean(axis=-1)


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
        if key not in systems_of(runs):
            rows.append([system.name, *[MISSING] * (len(columns(task)) + 1)])
            continue
        rank = None
        if key not in VARIANTS:
            rivals = [other for other in systems_of(runs) if other not in (key, *VARIANTS)]
            contest = [key, *rivals]
            rank = runs.estimate(mean_rank, contest, "error")
        cells = ["0", "0", "-", "1", "1"] if key == MLP else compare(runs, task, (key, MLP))
        rows.append([system.name, *cells, show(rank, "{:.2f}".format, len(runs.sets))])
    header = [f"{task}, {len(runs.sets)} sets", *columns(task), "mean rank"]
    return table(header, rows)


def duels_table(runs: Runs, task: str) -> str:
    """Return ours relative to every other rival."""
    rows = [
        [f"ours against {SYSTEMS[rival].name}", *compare(runs, task, (OURS, rival))]
        for rival in systems_of(runs)
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
                for s in systems_of(runs)
                if s not in (*systems, *VARIANTS) and len(SYSTEMS[s].make) > 1
            ]
            systems = [*systems, *others]
        return runs.estimate(self.statistic, systems, self.measure)


TARGETS = (
    Target("error", CLASSIFICATION, "error", relative, MLP, percent, most=0.7),
    Target("log loss", CLASSIFICATION, "loss", relative, MLP, percent, most=0.65),
    Target("fit time", CLASSIFICATION, "fit_seconds", total, MLP, factor, most=0.8),
    Target("1 - R2", REGRESSION, "error", relative, MLP_SCALED, percent, most=0.58),
    Target("fit time", REGRESSION, "fit_seconds", total, MLP_SCALED, factor, most=1.2),
    Target("error", CLASSIFICATION, "error", relative, REALMLP, percent, most=1.0),
    Target("log loss", CLASSIFICATION, "loss", relative, REALMLP, percent, most=0.6),
    Target("fit time", CLASSIFICATION, "fit_seconds", total, REALMLP, factor, most=1 / 15),
    Target("1 - R2", REGRESSION, "error", relative, REALMLP, percent, most=0.97),
    Target("fit time", REGRESSION, "fit_seconds", total, REALMLP, factor, most=1 / 15),
    Target("mean rank, difference", None, "error", rank_difference, TREES, "{:.2f}".format, most=0),
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
)


def targets_table(runs: Runs, targets: Sequence[Target] = TARGETS) -> str:
    """Return what is wanted of ours, and whether it is so, on each half and on all sets."""
    rows = []
    for target in targets:
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
    systems = [system for system in systems_of(runs) if task in SYSTEMS[system].make]
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
    return "\n\n".join([*parts, *notes(saved)])


def notes(saved: dict[str, Any]) -> list[str]:
    """Return what else there is to say of the records."""
    runs = Runs(saved["records"])
    parts = failures(saved, SYSTEMS)
    for system in systems_of(runs):
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
    return parts


def main() -> None:
    """Measure what is not measured yet, and print the tables."""
    arguments = parse(__doc__, SYSTEMS, seeds=5)
    if REALMLP in arguments.only and importlib.util.find_spec("pytabkit") is None:
        print(f"{SYSTEMS[REALMLP].name} is {MISSING}: pytabkit is not installed.", file=sys.stderr)
        arguments.only.remove(REALMLP)
    conduct("quality", arguments, read_sets(arguments.folder), SYSTEMS, summarize)


if __name__ == "__main__":
    main()
