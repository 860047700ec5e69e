"""What each part of the defaults is worth: our network with one of them changed at a time.

Sets, splits, measures and intervals are those of the comparison with other systems. "Relative" is
the geometric mean over the sets of a variant's measure over that of the defaults, minus 1:
positive is worse. Times are process times of `fit`, as ratios of their sums over the sets. Halves
are the development half, on which the defaults were chosen, and the confirmation half.

    OMP_NUM_THREADS=1 python docs/benchmarks/ablation.py FOLDER

Results are written to ``ablation.jsonl`` one by one, as in ``quality.py``. With a second folder,
that of the small sets, the sets are those of ``small.py``, and results go to
``ablation-small.jsonl``.
"""

from functools import partial
from typing import Any

from _common import table
from _protocol import (
    CLASSIFICATION,
    HALVES,
    MEASURES,
    REGRESSION,
    TASKS,
    Runs,
    System,
    conduct,
    factor,
    failures,
    parse,
    percent,
    read_few_rows,
    read_sets,
    relative,
    show,
    total,
)
from skscratch import ScratchMLPClassifier, ScratchMLPRegressor
from skscratch._fitting.plan import AUTO_EPOCHS

DEFAULTS = "the defaults"
CLASSES = {CLASSIFICATION: ScratchMLPClassifier, REGRESSION: ScratchMLPRegressor}
PARTS: dict[str, dict[str, Any]] = {
    DEFAULTS: {},
    "n_networks=1": {"n_networks": 1},
    "n_networks=4": {"n_networks": 4},
    "lr_schedule='constant'": {"lr_schedule": "constant"},
    "activation='relu'": {"activation": "relu"},
    "feature_scaling=None (behind a StandardScaler)": {"feature_scaling": None},
    "feature_scaling='robust'": {"feature_scaling": "robust"},
    "dropout=0.1": {"dropout": 0.1},
    "numerical_embedding='periodic'": {"numerical_embedding": "periodic"},
    "numerical_embedding='piecewise_linear'": {"numerical_embedding": "piecewise_linear"},
}
CLASSIFIER_PARTS: dict[str, dict[str, Any]] = {
    "label_smoothing=0": {"label_smoothing": 0.0},
    "calibrate=False": {"calibrate": False},
}
BUDGETS: dict[str, dict[str, Any]] = {
    "max_iter=16": {"max_iter": 16},
    "max_iter=64": {"max_iter": 64},
    "32 units a layer": {"hidden_layer_sizes": (32, 32, 32)},
    "128 units a layer": {"hidden_layer_sizes": (128, 128, 128)},
    "two layers": {"hidden_layer_sizes": (64, 64)},
}
"""What moves along the curve of accuracy over time."""
USUAL_EPOCHS = {CLASSIFICATION: AUTO_EPOCHS["classifier"], REGRESSION: AUTO_EPOCHS["regressor"]}


def variant(name: str, params: dict[str, Any]) -> System:
    """Return our estimators with some parameters changed, as a system."""
    tasks = TASKS if name not in CLASSIFIER_PARTS else (CLASSIFICATION,)
    make = {task: partial(CLASSES[task], **params) for task in tasks}
    return System(name, make, takes_sparse="numerical_embedding" not in params)


VARIANTS = {
    name: variant(name, params) for name, params in (PARTS | CLASSIFIER_PARTS | BUDGETS).items()
}


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
            f"{USUAL_EPOCHS[CLASSIFICATION]} epochs, in regression {USUAL_EPOCHS[REGRESSION]}, and "
            "no more.",
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
    return "\n\n".join(parts + failures(saved, VARIANTS))


def with_usual_epochs(runs: Runs) -> Runs:
    """Return the runs on sets where the defaults make the usual number of epochs."""
    usual = {
        record["data"]
        for record in runs.records
        if record["system"] == DEFAULTS and record["epochs"] == USUAL_EPOCHS[record["task"]]
    }
    return Runs(record for record in runs.records if record["data"] in usual)


def tradeoff(records: list[dict[str, Any]], task: str) -> dict[str, tuple[float, float]]:
    """Return time and error of each variant relative to the defaults, for the plot."""
    runs = with_usual_epochs(Runs(records)).of(task=task)
    points = {DEFAULTS: (1.0, 1.0)}
    for name in VARIANTS:
        time = runs.estimate(total, (name, DEFAULTS), "fit_seconds")
        error = runs.estimate(relative, (name, DEFAULTS), "error")
        if time is not None and error is not None:
            points[name] = (time.value, error.value)
    return points


def main() -> None:
    """Measure what is not measured yet, and print the tables."""
    arguments = parse(__doc__, VARIANTS, seeds=3, small="?")
    name, sets = "ablation", read_sets(arguments.folder)
    if arguments.small:
        name, sets = "ablation-small", read_few_rows(arguments.folder, arguments.small)
    conduct(name, arguments, sets, VARIANTS, summarize)


if __name__ == "__main__":
    main()
