"""Turn the results of the benchmarks into two pages with a plot each.

    python docs/benchmarks/report.py

It reads the JSON that the scripts have left in ``results/``, and writes ``speed.md``,
``fit.svg`` and ``scaling.svg``, ``quality.md``, ``quality.svg`` and ``tradeoff.svg``.
"""

import argparse
import importlib
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

import _protocol
import ablation
import intervals
import quality
import scaling
import small
from _common import RESULTS, describe, geometric_mean
from fit import medians, summarize_dtypes

SECTIONS = {
    "fit": "Fitting",
    "overhead": "Around the steps",
    "networks": "Networks side by side",
    "predict": "Predicting",
    "search": "Searching",
    "scaling": "Growing",
    "memory": "Memory",
    "convergence": "Reaching a score",
    "imports": "Importing",
}
# Okabe and Ito's colors, which color-blind readers tell apart, and a shape for each as well.
MARKS = {
    "scikit-learn, float64": ("#E69F00", "s"),
    "scikit-learn, float32": ("#E69F00", "D"),
    "skorch": ("#CC79A7", "v"),
    "PyTorch": ("#D55E00", "^"),
    "JAX": ("#009E73", "P"),
    "skscratch, float64": ("#0072B2", "o"),
    "skscratch, float32": ("#0072B2", "*"),
}
FLOOR = "floor, float32"
RECORDS = ("quality", "small", "ablation", "ablation-small")
QUALITY_MARKS = {
    quality.OURS: ("#0072B2", "o"),  # first and filled, so that the others show on top of it
    "mlp-early": ("#E69F00", "s"),
    quality.MLP_SCALED: ("#CC79A7", "v"),
    quality.TREES: ("#009E73", "D"),
    quality.REALMLP: ("#D55E00", "^"),
}


def read(folder: Path, name: str) -> dict[str, Any] | None:
    """Return the results of a script, None if it has left none."""
    path = folder / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def section(name: str, title: str, folder: Path) -> str:
    """Return a script's part of the page: what it found, and then how."""
    script = importlib.import_module(name)
    saved = read(folder, name)
    figure = ""
    if name == "fit":
        figure = (
            "![Time of a step by network and library, as a multiple of the time of the matrix "
            "products alone](fit.svg)"
        )
    if name == "scaling":
        figure = "![Time of a fit as rows, width, depth, batch and networks grow](scaling.svg)"
    parts = found(f"## {title}", script.__doc__, saved, script.summarize, figure, "###")
    dtypes = read(folder, "dtypes") if name == "fit" else None
    if dtypes is not None:
        parts += ["### float64 and float32", summarize_dtypes(dtypes)]
    return "\n\n".join(parts)


def found(
    title: str,
    doc: str,
    saved: dict[str, Any] | None,
    summarize: Callable[[dict[str, Any]], str],
    figure: str = "",
    level: str = "##",
) -> list[str]:
    """Return a part of a page: title, plot and tables first, and then what was done, on what."""
    headline, _, method = inspect.cleandoc(doc).partition("\n\n")
    parts = [title, headline]
    if saved is None:
        parts.append("This has not been measured yet.")
    else:
        if saved["quick"]:
            parts.append("**This was a smoke run: its numbers mean nothing.**")
        parts += [figure, summarize(saved)]
    parts += [f"{level} Method: {title.lstrip('# ').lower()}", method]
    if saved is not None:
        parts.append(describe(saved["environment"]))
    return [part for part in parts if part]


def quality_page(folder: Path) -> str:
    """Return the page on how well the defaults predict, and on what their parts are worth."""
    errors = "![Error of each system on each set, relative to that of scikit-learn's MLP]"
    curves = "![Error over fit time of networks and epochs around the defaults](tradeoff.svg)"
    saved = {name: _protocol.read_results(folder, name) for name in RECORDS}
    parts = [
        *found(
            "# Quality",
            quality.__doc__,
            saved["quality"],
            quality.summarize,
            f"{errors}(quality.svg)",
        ),
        *found("## Few rows", small.__doc__, saved["small"], small.summarize, level="###"),
        *found(
            "## Intervals",
            intervals.__doc__,
            read(folder, "intervals"),
            intervals.summarize,
            level="###",
        ),
        *found(
            "## Ablation", ablation.__doc__, saved["ablation"], ablation.summarize, curves, "###"
        ),
    ]
    if saved["ablation-small"] is not None:
        parts += ["## Ablation on few rows", ablation.summarize(saved["ablation-small"])]
    parts.append("This page is made by `docs/benchmarks/report.py` from the results beside it.")
    return "\n\n".join(parts)


def draw_tradeoff(records: list[dict[str, Any]], path: Path) -> None:
    """Draw error over fit time as epochs, widths and the number of networks change."""
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "skscratch", "font.size": 10})
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    curves = {
        "max_iter": ("#0072B2", "o", ["max_iter=16", "", "max_iter=64"]),
        "units a layer": ("#D55E00", "s", ["32 units a layer", "", "128 units a layer"]),
        "networks": ("#009E73", "D", ["n_networks=1", "n_networks=4", ""]),
    }
    for ax, task in zip(axes, _protocol.TASKS, strict=True):
        points = ablation.tradeoff(records, task)
        for label, (color, marker, names) in curves.items():
            known = [name or ablation.DEFAULTS for name in names]
            times, errors = zip(*(points[n] for n in known if n in points), strict=True)
            changes = [100 * (error - 1) for error in errors]
            ax.plot(times, changes, marker + "-", color=color, label=label, markersize=6)
        ax.plot(1, 0, "*", color="black", markersize=15, label="the defaults", linestyle="none")
        ax.set_xscale("log")
        _label_ratios(ax)
        ax.set_title(f"{task}, {_protocol.MEASURES[task]['error']}")
        ax.set_xlabel("fit time / that of the defaults")
        ax.grid(color="0.9")
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("change of the error, % (lower is better)")
    axes[0].legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def draw_quality(records: list[dict[str, Any]], path: Path) -> None:
    """Draw each system's error on each set, relative to that of scikit-learn's MLP."""
    runs = _protocol.Runs(records)
    parts = [(task, runs.of(task=task)) for task in _protocol.TASKS]
    parts = [(task, part) for task, part in parts if part.sets]
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "skscratch", "font.size": 10})
    figure, grid = plt.subplots(
        1,
        len(parts),
        figsize=(5.5 * len(parts), 1.8 + 0.33 * max(len(part.sets) for _, part in parts)),
        layout="constrained",
        squeeze=False,
    )
    handles: dict[str, Any] = {}
    for axes, (task, part) in zip(grid[0], parts, strict=True):
        found = {key: _relative_errors(part, key) for key in QUALITY_MARKS}
        ours = found[quality.OURS]
        # From our best set at the top to the worst, below them those that ours has not run on.
        names = sorted(part.sets, key=lambda name: ours.get(name, float("inf")))
        confirmation = set(part.of(half=_protocol.CONFIRMATION).sets)
        axes.axvline(1, color="black", linewidth=1.5)
        for key, (color, marker) in QUALITY_MARKS.items():
            rows = [row for row, name in enumerate(names) if name in found[key]]
            if not rows:
                continue
            (points,) = axes.plot(
                [found[key][names[row]] for row in rows],
                rows,
                marker,
                color=color,
                markersize=9 if key == quality.OURS else 6.5,
                markerfacecolor=color if key == quality.OURS else "none",
                markeredgewidth=1.5,
            )
            handles.setdefault(quality.SYSTEMS[key].name, points)
        title = f"{task}, {_protocol.MEASURES[task]['error']}"
        if ours:
            title += f"\nours: {_protocol.percent(geometric_mean(list(ours.values())))}"
        axes.set_title(title)
        axes.set_xscale("log")
        _label_ratios(axes)
        axes.set_yticks(range(len(names)), [f"{n} *" if n in confirmation else n for n in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.grid(color="0.9")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel(
        "error / error of scikit-learn's MLP at its defaults (left of the line is better); "
        "* confirmation half"
    )
    figure.legend(
        handles.values(), handles, loc="outside upper center", frameon=False, ncols=len(handles)
    )
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _relative_errors(runs: _protocol.Runs, system: str) -> dict[str, float]:
    pairs = {name: runs.values(name, (system, quality.MLP), "error") for name in runs.sets}
    means = {name: values.mean(axis=0) for name, values in pairs.items() if len(values)}
    return {name: float(mean[0] / mean[1]) for name, mean in means.items()}


def _label_ratios(axes: plt.Axes) -> None:
    """Label enough of a logarithmic axis, be it short or long, and nothing twice."""
    low, high = axes.get_xlim()
    steps = (1, 2, 5) if high / low < 300 else (1,)
    ticks = [step * 10.0**power for power in range(-9, 10) for step in steps]
    if high / low < 10:
        ticks = [0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.5, 2, 3, 4]
    axes.set_xticks([tick for tick in ticks if low <= tick <= high])
    axes.xaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()


def draw(records: list[dict[str, Any]], path: Path) -> None:
    """Draw each one's time of a step as a multiple of the floor."""
    # Text stays text, and two runs on the same results give the same file.
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "skscratch", "font.size": 10})
    figure, axes = plt.subplots(figsize=(10, 5.5), layout="constrained")
    found = [medians(record) for record in records]
    axes.axhline(1, color="black", linewidth=1.5)
    axes.annotate(
        "floor: the matrix products alone, float32",
        (0, 1),  # on the left, where the points are far above
        xycoords=("axes fraction", "data"),
        xytext=(6, 5),
        textcoords="offset points",
    )
    for i, (name, (color, marker)) in enumerate(MARKS.items()):
        points = [(x, one[name] / one[FLOOR]) for x, one in enumerate(found) if name in one]
        if not points:
            continue
        shift = 0.1 * (i - (len(MARKS) - 1) / 2)
        axes.plot(
            [x + shift for x, _ in points],
            [y for _, y in points],
            marker,
            color=color,
            markersize=10 if marker == "*" else 7,
            markerfacecolor="white" if name.endswith("float64") else color,
            label=name,
        )
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylabel("time of a step / time of its matrix products")
    ticks = [_tick(record, one) for record, one in zip(records, found, strict=True)]
    axes.set_xticks(range(len(records)), ticks)
    for x in range(1, len(records)):
        axes.axvline(x - 0.5, color="0.9", linewidth=1, zorder=0)
    axes.set_xlim(-0.5, len(records) - 0.5)
    axes.grid(axis="y", color="0.9")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title("A training step beside its matrix products (lower is faster)")
    axes.legend(frameon=False, ncols=2, title="library, dtype of the input")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _tick(record: dict[str, Any], one: dict[str, float]) -> str:
    shape = record["shape"]
    hidden = tuple(shape["hidden"])
    return (
        f"{shape['n_features']} features\n{hidden}\nbatch {shape['batch_size']}\n"
        f"floor {1e6 * one[FLOOR]:,.0f} µs"
    )


def main() -> None:
    """Write the pages and the plots."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    here = Path(__file__).parent
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--output", type=Path, default=here, help="folder to write to")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    page = [
        "# Speed",
        "Every script runs the rivals side by side and in turns; the tables show medians, or the "
        'least where they say so. A library that was not installed is "missing". This page is '
        "made by `docs/benchmarks/report.py` from the results beside it. To measure on your "
        'machine, install the rivals by `pip install -e ".[benchmarks]"`, run the scripts, and '
        "then the report.",
        *(section(name, title, arguments.results) for name, title in SECTIONS.items()),
    ]
    (arguments.output / "speed.md").write_text("\n\n".join(page) + "\n", encoding="utf-8")
    grown = read(arguments.results, "scaling")
    if grown is not None:
        scaling.draw(grown, arguments.output / "scaling.svg")
    fits = read(arguments.results, "fit")
    if fits is not None:
        draw(fits["records"], arguments.output / "fit.svg")
    text = quality_page(arguments.results)
    (arguments.output / "quality.md").write_text(text + "\n", encoding="utf-8")
    saved = _protocol.read_results(arguments.results, "quality")
    if saved is not None:
        draw_quality(saved["records"], arguments.output / "quality.svg")
    ablated = _protocol.read_results(arguments.results, "ablation")
    if ablated is not None:
        draw_tradeoff(ablated["records"], arguments.output / "tradeoff.svg")


if __name__ == "__main__":
    main()
