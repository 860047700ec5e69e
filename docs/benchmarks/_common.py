"""What the benchmarks share: command line, environment, statistics, tables and results."""

import argparse
import importlib.metadata
import json
import math
import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

RESULTS = Path(__file__).with_name("results")
PACKAGES = (
    "skscratch",
    "scikit-learn",
    "numpy",
    "scipy",
    "torch",
    "jax",
    "optax",
    "skorch",
    "pytabkit",
    "mapie",
)
MISSING = "missing"


def make_parser(doc: str, repeats: int, option: str = "--repeats") -> argparse.ArgumentParser:
    """Return a parser with the options that all benchmarks have; ``doc`` is the help."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        option, type=int, default=repeats, help=f"runs of each kind (default: {repeats})"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a smoke run in seconds, whose numbers mean nothing and are not saved by default",
    )
    parser.add_argument(
        "--output",
        type=Path,
        help=f"folder for the results as JSON (default: {RESULTS.name}/ beside the scripts)",
    )
    return parser


def blas_threads() -> int:
    """Return the number of threads that NumPy's BLAS uses."""
    return max((pool["num_threads"] for pool in _blas_pools()), default=1)


def environment() -> dict[str, Any]:
    """Return what the numbers depend on: processor, versions, BLAS, kernels and threads."""
    versions = {"Python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = MISSING
    if versions["skscratch"] == MISSING:
        # It may be run from a clone that is not installed.
        import skscratch

        versions["skscratch"] = skscratch.__version__
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions,
        "blas": [
            f"{pool['internal_api']} {pool['version']} ({_owner(pool['filepath'])}), "
            f"kernel {pool.get('architecture', 'unknown')}, {pool['num_threads']} thread(s)"
            for pool in _blas_pools()
        ],
        "variables": {
            name: value
            for name, value in sorted(os.environ.items())
            if name.startswith(("OPENBLAS_", "OMP_", "MKL_")) or name in ("XLA_FLAGS", "NPROC")
        },
    }


def describe(env: dict[str, Any]) -> str:
    """Return an environment as Markdown."""
    lines = [
        f"{env['processor']}, {env['cores']} cores, {env['system']}",
        ", ".join(f"{name} {version}" for name, version in env["versions"].items()),
        *env["blas"],
    ]
    if env["variables"]:
        lines.append(", ".join(f"`{name}={value}`" for name, value in env["variables"].items()))
    slowing = [name for name in env["variables"] if name.startswith("OPENBLAS_")]
    if slowing:
        lines.append(
            f"Note: {', '.join(slowing)} keeps NumPy's BLAS from choosing what suits the "
            "processor, which slows NumPy but neither PyTorch nor JAX. Unset it."
        )
    return "\n".join(f"- {line}" for line in lines)


def geometric_mean(values: Sequence[float]) -> float:
    """Return the geometric mean, NaN of nothing."""
    return math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a Markdown table, aligned so that it reads well in a terminal too."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(header))]
    lines = [
        "| " + " | ".join(_align(cell, width, i) for i, (cell, width) in enumerate(line)) + " |"
        for line in (list(zip(row, widths, strict=True)) for row in cells)
    ]
    # Text stands on the left, numbers on the right.
    rule = "|" + "|".join("-" * (w + 1) + ("-" if i == 0 else ":") for i, w in enumerate(widths))
    return "\n".join([lines[0], rule + "|", *lines[1:]])


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with so many significant digits, or "missing" for None."""
    if value is None:
        return MISSING
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{decimals}f}"


def ratio(theirs: float | None, ours: float | None) -> float | None:
    """Return theirs over ours, None if one is missing."""
    return None if theirs is None or ours is None else theirs / ours


def mebibytes(size: float | None) -> str:
    """Return bytes as MiB."""
    return "unavailable" if size is None else f"{max(size, 0) / 2**20:.0f}"


def verdict(value: float | None, low: float = -math.inf, high: float = math.inf) -> str:
    """Say whether a target is met."""
    if value is None or math.isnan(value):
        return "not measured"
    return "met" if low <= value <= high else "missed"


def finish(
    name: str, arguments: argparse.Namespace, records: Any, summarize: Callable[[dict], str]
) -> None:
    """Print the tables of a run, and save it as JSON."""
    saved = {"environment": environment(), "quick": arguments.quick, "records": records}
    # Through JSON, so that what is printed now is what the report prints later.
    text = json.dumps(saved, indent=1)
    print("\n" + summarize(json.loads(text)))
    if arguments.quick:
        print("\nThis was a smoke run: its numbers mean nothing.")
    if arguments.quick and arguments.output is None:
        return
    folder = arguments.output or RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def _align(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column == 0 else cell.rjust(width)


def _blas_pools() -> list[dict[str, Any]]:
    import numpy  # noqa: F401, its BLAS has to be loaded to be seen

    return [pool for pool in threadpool_info() if pool["user_api"] == "blas"]


def _owner(library: str) -> str:
    """Return the package that a shared library came with."""
    folder = Path(library).parent.name
    return folder.split(".")[0] if "." in folder else "system"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            # Of the first core, whose lines end at the first empty one.
            facts = dict(map(str.strip, line.split(":", 1)) for line in iter(file.readline, "\n"))
        # Clouds give generations of processors the same name.
        return f"{facts['model name']} (family {facts['cpu family']}, model {facts['model']})"
    except (OSError, KeyError, ValueError):
        return platform.processor() or platform.machine()
