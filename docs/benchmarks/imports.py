"""Time of an import, in fresh processes.

Each process imports NumPy first, and then what is measured; libraries take turns.

    python docs/benchmarks/imports.py
"""

import subprocess
import sys
from statistics import median
from typing import Any

from _common import describe, environment, finish, make_parser, number, table, verdict

STATEMENTS = {
    "numpy": "import numpy",
    "skscratch": "import skscratch",
    "skscratch.nn": "import skscratch.nn",
    "skscratch's classifier": "from skscratch import ScratchMLPClassifier",
    "scikit-learn's classifier": "from sklearn.neural_network import MLPClassifier",
    "PyTorch": "import torch",
    "JAX": "import jax",
    "skorch": "import skorch",
}
TARGET = 30.0  # milliseconds that `import skscratch` may add to `import numpy`


def seconds(statement: str) -> float | None:
    """Return the time of an import in a new process, None if the library is missing."""
    first = "pass" if statement == STATEMENTS["numpy"] else STATEMENTS["numpy"]
    program = (
        "import time\n"
        f"{first}\n"
        "started = time.perf_counter()\n"
        "try:\n"
        f"    {statement}\n"
        "except ModuleNotFoundError:\n"
        "    print('missing')\n"
        "else:\n"
        "    print(time.perf_counter() - started)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    answer = done.stdout.strip()
    return None if answer == "missing" else float(answer)


def summarize(saved: dict[str, Any]) -> str:
    """Return the table of a run."""
    found = {
        name: 1e3 * median(values) if None not in values else None
        for name, values in saved["records"].items()
    }
    rows = [[name, number(value)] for name, value in found.items()]
    ours = found["skscratch"]
    n_runs = len(saved["records"]["numpy"])
    return "\n\n".join(
        [
            f"Milliseconds of an import, beyond NumPy's (median of {n_runs} processes)",
            table(["import", "milliseconds"], rows),
            "Targets",
            table(
                ["what", "target", "found", ""],
                [["import skscratch", f"< {TARGET:g}", number(ours), verdict(ours, high=TARGET)]],
            ),
        ]
    )


def main() -> None:
    """Measure all imports and print the table."""
    arguments = make_parser(__doc__, repeats=21).parse_args()
    if arguments.quick:
        arguments.repeats = 1
    print(describe(environment()))
    for statement in STATEMENTS.values():
        seconds(statement)  # brings the files into the system's cache
    records: dict[str, list[float | None]] = {name: [] for name in STATEMENTS}
    for _ in range(arguments.repeats):
        for name, statement in STATEMENTS.items():
            records[name].append(seconds(statement))
    finish("imports", arguments, records, summarize)


if __name__ == "__main__":
    main()
