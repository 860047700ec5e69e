"""How well the defaults predict from few rows: ours beside scikit-learn's MLP.

Three families of sets: 31 small ones of 101 to 5,500 rows; samples of the sets of ``quality.py``,
which train on 100, 300, 600 and 900 rows; and those bundled with scikit-learn. Systems, splits,
measures and intervals are those of ``quality.py``, with three differences. Errors below 0.01 and
log losses below 0.02 count as such, run by run, since there a ratio is that of a test row or two. A
test row is left out if its class is not among the rows to train on. And in regression all is
relative to scikit-learn's MLP with a standardized target.

Fit times are relative in two ways: as the ratio of the sums over the sets, in which long fits
count most, and as the geometric mean of the sets' ratios. "Worse beyond chance" are sets whose
error or loss is above the rival's by more than the 95 % interval of the paired differences of the
seeds (Student's t): of a hundred sets where both are alike two or three are, by chance.

The halves are as in ``quality.py``. The defaults were chosen on the development halves of the small
sets and of the samples.

    OMP_NUM_THREADS=1 python docs/benchmarks/small.py FOLDER SMALL_FOLDER

Results are written to ``small.jsonl``. Families are chosen by ``--sets "small sets"``, and so on.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.stats import t as student

from _common import number, table
from _protocol import (
    BUNDLED,
    CLASSIFICATION,
    HALVES,
    MEASURES,
    REGRESSION,
    SAMPLES,
    SMALL,
    TASKS,
    Runs,
    conduct,
    factor,
    largest,
    parse,
    percent,
    read_few_rows,
    relative,
    show,
    total,
)
from quality import MLP, MLP_SCALED, OURS, OURS_SINGLE, Target, notes, targets_table
from quality import SYSTEMS as ALL_SYSTEMS

FAMILIES = {
    SMALL: "31 small sets",
    SAMPLES: "Samples of 100 to 900 rows",
    BUNDLED: "Sets bundled with scikit-learn",
}
SYSTEMS = {key: ALL_SYSTEMS[key] for key in (OURS, OURS_SINGLE, MLP, MLP_SCALED)}
BASES = {CLASSIFICATION: MLP, REGRESSION: MLP_SCALED}


def targets(error: float, loss: float, *tasks: str) -> list[Target]:
    """Return what is wanted of a family; times are process times of one thread."""
    quality = [
        Target("error", CLASSIFICATION, "error", relative, MLP, percent, most=error),
        Target("log loss", CLASSIFICATION, "loss", relative, MLP, percent, most=loss),
        Target("1 - R2", REGRESSION, "error", relative, MLP_SCALED, percent, most=error),
    ]
    times = [
        Target(f"fit time, {text}", task, "fit_seconds", statistic, BASES[task], factor, most=most)
        for task in tasks
        for text, statistic, most in (
            ("total", total, 1.3),
            ("geometric mean", relative, 1.3),
            ("largest", largest, 2.0),
        )
    ]
    return [target for target in (*quality, *times) if target.task in tasks]


TARGETS = {
    SMALL: targets(0.83, 0.78, CLASSIFICATION),
    SAMPLES: targets(0.9, 0.8, *TASKS),
    BUNDLED: targets(0.9, 0.8, *TASKS),
}


def systems_table(runs: Runs, task: str) -> str:
    """Return ours and our single network relative to scikit-learn's, on each half and all."""
    base, rows = BASES[task], []
    for key in (OURS, OURS_SINGLE):
        for title, part in (*((half, runs.of(half=half)) for half in HALVES), ("all", runs)):
            pair = key, base
            measured = [(relative, measure, percent) for measure in MEASURES[task]]
            timed = [(statistic, "fit_seconds", factor) for statistic in (total, relative)]
            cells = [
                show(part.estimate(statistic, pair, measure), form, len(part.sets))
                for statistic, measure, form in (*measured, *timed)
            ]
            rows.append([f"{SYSTEMS[key].name}, {title}", *cells, _slowest(part, pair)])
    header = [f"{task}, {len(runs.sets)} sets", *MEASURES[task].values()]
    times = ["fit time, total", "geometric mean", "largest"]
    return f"Relative to {SYSTEMS[base].name}:\n\n" + table([*header, *times], rows)


def _slowest(runs: Runs, pair: tuple[str, str]) -> str:
    """Return the set of the largest ratio of fit times, and that."""
    means = [(name, runs.values(name, pair, "fit_seconds")) for name in runs.sets]
    ratios = [(np.divide(*values.mean(axis=0)), name) for name, values in means if len(values)]
    if not ratios:
        return "-"
    ratio, name = max(ratios)
    return f"{factor(ratio)} ({name})"


def worse(runs: Runs, task: str) -> Iterator[str]:
    """Yield a line for each measure: on which sets ours is worse beyond chance."""
    for measure, text in MEASURES[task].items():
        found, better, n_sets = [], 0, 0
        for name in runs.sets:
            values = runs.values(name, (OURS, BASES[task]), measure)
            if len(values) < 2:
                continue
            n_sets += 1
            difference = values[:, 0] - values[:, 1]
            spread = difference.std(ddof=1) / len(values) ** 0.5
            margin = student.ppf(0.975, len(values) - 1) * spread
            better += difference.mean() < -margin
            if difference.mean() > margin:
                ours, theirs = map(number, values.mean(axis=0))
                found.append(f"{name} ({ours} for {theirs})")
        if n_sets:
            yield (
                f"- {task}, {text}: worse beyond chance on {len(found)} of {n_sets} sets, better "
                f"on {better}" + (": worse on " if found else "") + ", ".join(found) + "."
            )


def sets_table(runs: Runs, task: str) -> str:
    """Return the means of each set."""
    rows, systems = [], [key for key, system in SYSTEMS.items() if task in system.make]
    for name in runs.sets:
        record = next(record for record in runs.records if record["data"] == name)
        row = [f"{name} ({record['half']})", f"{record['n_train']:,} x {record['n_features']}"]
        for measure in (*MEASURES[task], "fit_seconds"):
            means = [runs.values(name, [system], measure) for system in systems]
            row.append(", ".join(number(v.mean()) if len(v) else "-" for v in means))
        rows.append(row)
    names = ", ".join(SYSTEMS[system].name for system in systems)
    header = [task, "training", *MEASURES[task].values(), "fit, seconds"]
    return f"Of {names}:\n\n" + table(header, rows)


def summarize(saved: dict[str, Any]) -> str:
    """Return the tables of a run."""
    runs = Runs(saved["records"])
    parts = [f"{len(runs.sets)} sets, seeds {', '.join(map(str, runs.seeds))}."]
    for family, title in FAMILIES.items():
        part = runs.of(family=family)
        tasks = [task for task in TASKS if part.of(task=task).sets]
        if tasks:
            lines = "\n".join(line for task in tasks for line in worse(part.of(task=task), task))
            parts += [f"### {title}", targets_table(part, TARGETS[family])]
            parts += [systems_table(part.of(task=task), task) for task in tasks]
            parts += [lines] if lines else []
    parts.append("### Set by set, few rows")
    parts += [sets_table(runs.of(task=task), task) for task in TASKS if runs.of(task=task).sets]
    return "\n\n".join([*parts, *notes(saved)])


def main() -> None:
    """Measure what is not measured yet, and print the tables."""
    arguments = parse(__doc__ or "", SYSTEMS, seeds=5, small="1")
    sets = read_few_rows(arguments.folder, arguments.small)
    conduct("small", arguments, sets, SYSTEMS, summarize)


if __name__ == "__main__":
    main()
