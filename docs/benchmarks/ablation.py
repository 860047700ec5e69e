"""What each part of the defaults is worth: our network with one of them changed at a time.

Sets, splits, measures and intervals are those of the comparison with other systems. "Relative" is
the geometric mean over the sets of a variant's measure over that of the defaults, minus 1:
positive is worse. Times are process times of `fit`, as ratios of their sums over the sets. Halves
are the development half, on which the defaults were chosen, and the confirmation half.

    OMP_NUM_THREADS=1 python docs/benchmarks/ablation.py FOLDER

Results are written to ``ablation.jsonl`` one by one, as in ``quality.py``.
"""

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Any

from _common import RESULTS, describe, environment, make_parser, table
from quality import (
    CLASSIFICATION,
    HALVES,
    MEASURES,
    REGRESSION,
    TASKS,
    Job,
    Runs,
    Store,
    System,
    choose,
    factor,
    measure,
    percent,
    read_manifest,
    relative,
    run,
    show,
    total,
)
from skscratch import Adam, ScratchMLPClassifier, ScratchMLPRegressor

DEFAULTS = "the defaults"
CLASSES = {CLASSIFICATION: ScratchMLPClassifier, REGRESSION: ScratchMLPRegressor}
PARTS: dict[str, dict[str, Any]] = {
    DEFAULTS: {},
    "refit=False": {"refit": False},
    "lr_schedule='coslog'": {"lr_schedule": "coslog"},
    "activation='relu'": {"activation": "relu"},
    "feature_scaling=None (behind a StandardScaler)": {"feature_scaling": None},
    "feature_scaling='robust'": {"feature_scaling": "robust"},
    "optimizer=Adam(beta2=0.95)": {"optimizer": Adam(beta2=0.95)},
    "dropout=0.1": {"dropout": 0.1},
    "numerical_embedding='periodic'": {"numerical_embedding": "periodic"},
    "numerical_embedding='piecewise_linear'": {"numerical_embedding": "piecewise_linear"},
}
CLASSIFIER_PARTS: dict[str, dict[str, Any]] = {
    "label_smoothing=0": {"label_smoothing": 0.0},
    "calibrate=False": {"calibrate": False},
}
BUDGETS: dict[str, dict[str, Any]] = {
    "max_iter=32": {"max_iter": 32},
    "max_iter=128": {"max_iter": 128},
    "64 units a layer": {"hidden_layer_sizes": (64, 64, 64)},
    "256 units a layer": {"hidden_layer_sizes": (256, 256, 256)},
}
"""What moves along the curve of accuracy over time."""
AUTO_EPOCHS = 64


def make(task: str, params: dict[str, Any], seed: int) -> Any:
    """Return our estimator with some parameters changed."""
    return CLASSES[task](random_state=seed, **params)


def variant(name: str, params: dict[str, Any]) -> System:
    """Return a variant as a system."""
    tasks = TASKS if name not in CLASSIFIER_PARTS else (CLASSIFICATION,)
    return System(name, {task: partial(make, task, params) for task in tasks}, "skscratch")


VARIANTS = {
    name: variant(name, params) for name, params in (PARTS | CLASSIFIER_PARTS | BUDGETS).items()
}


def measure_variant(job: Job) -> dict[str, Any]:
    """Return the record of a run."""
    return measure(job, VARIANTS)


def variants_table(runs: Runs, task: str, names: list[str]) -> str:
    """Return variants relative to the defaults, on both halves and on all sets."""
    rows = []
    for name in names:
        cells = []
        for measured in MEASURES[task]:
            for part in (*(runs.of(half=half) for half in HALVES), runs):
                estimate = part.estimate(relative, (name, DEFAULTS), measured)
                text = "-" if estimate is None else percent(estimate.value)
                cells.append(show(estimate, percent, len(part.sets)) if part is runs else text)
        time = runs.estimate(total, (name, DEFAULTS), "fit_seconds")
        rows.append([name, *cells, "-" if time is None else factor(time.value)])
    header = [f"{task}, {len(runs.sets)} sets"]
    for text in MEASURES[task].values():
        header += [f"{text}, {HALVES[0]}", HALVES[1], "all sets"]
    return table([*header, "fit time"], rows)


def summarize(saved: dict[str, Any]) -> str:
    """Return the tables of a run."""
    runs = Runs(saved["records"])
    sections = (
        ("### What each part is worth", PARTS | CLASSIFIER_PARTS, runs),
        (
            "### Accuracy and time\n\nOn the sets that have enough rows for the defaults to make "
            f"{AUTO_EPOCHS} epochs, and no more.",
            BUDGETS,
            with_usual_epochs(runs),
        ),
    )
    parts = [f"{len(runs.sets)} sets, seeds {', '.join(map(str, runs.seeds))}."]
    for title, variants, chosen in sections:
        parts.append(title)
        for task in TASKS:
            found = chosen.of(task=task)
            done = {record["system"] for record in found.records}
            names = [name for name in variants if name in done and name != DEFAULTS]
            if names:
                parts.append(variants_table(found, task, names))
    failed = [record for record in saved["records"] if "failed" in record]
    parts += [f"- {r['system']} on {r['data']}, seed {r['seed']}: {r['failed']}" for r in failed]
    return "\n\n".join(parts)


def with_usual_epochs(runs: Runs) -> Runs:
    """Return the runs on sets where the defaults make the usual number of epochs."""
    usual = {
        record["data"]
        for record in runs.records
        if record["system"] == DEFAULTS and record["epochs"] == AUTO_EPOCHS
    }
    return Runs(record for record in runs.records if record["data"] in usual)


def tradeoff(records: list[dict[str, Any]], task: str) -> dict[str, tuple[float, float]]:
    """Return time and error of each budget relative to the defaults, for the plot."""
    runs = with_usual_epochs(Runs(records)).of(task=task)
    points = {DEFAULTS: (1.0, 1.0)}
    for name in (*BUDGETS, "refit=False"):
        time = runs.estimate(total, (name, DEFAULTS), "fit_seconds")
        error = runs.estimate(relative, (name, DEFAULTS), "error")
        if time is not None and error is not None:
            points[name] = (time.value, error.value)
    return points


def parse() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = make_parser(__doc__, repeats=3, option="--seeds")
    parser.add_argument("folder", type=Path, help="folder of the sets, as for quality.py")
    parser.add_argument("--sets", help="all (the default), a half, or names joined by commas")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds = 1
    return arguments


def main() -> None:
    """Measure what is not measured yet, and print the tables."""
    arguments = parse()
    manifest = read_manifest(arguments.folder)
    names = choose(manifest, arguments.sets, arguments.quick)
    env = environment()
    print(describe(env), flush=True)
    folder = arguments.output or (None if arguments.quick else RESULTS)
    store = Store(folder, "ablation")
    jobs = [
        Job(arguments.folder, name, seed, system, arguments.jobs, arguments.quick)
        for seed in range(arguments.seeds)
        for name in names
        for system in VARIANTS
        if manifest.loc[name, "task"] in VARIANTS[system].make
    ]
    jobs = [job for job in jobs if not store.has(job, VARIANTS)]
    if jobs:
        store.begin(env | {"jobs": arguments.jobs})
    for count, record in enumerate(run(jobs, arguments.jobs, measure_variant), start=1):
        store.add(record)
        found = record.get("failed") or f"{record['error']:.4g}, {record['fit_seconds']:.2f} s"
        print(
            f"{count}/{len(jobs)} {record['data']}, seed {record['seed']}, "
            f"{record['system']}: {found}",
            file=sys.stderr,
            flush=True,
        )
    shown = [record for record in store.records.values() if record["quick"] == arguments.quick]
    print("\n" + summarize({"records": shown}))
    if arguments.quick:
        print("\nThis was a smoke run: its numbers mean nothing.")


if __name__ == "__main__":
    main()
