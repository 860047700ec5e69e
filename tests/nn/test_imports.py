import ast
import subprocess
import sys
from pathlib import Path

import pytest

import skscratch.nn as nn

FOLDER = Path(nn.__file__).parent
BLOCKED = ("sklearn", "scipy", "pandas", "polars", "joblib", "matplotlib")

SCRIPT = f"""
import sys
for name in {BLOCKED}:
    sys.modules[name] = None  # an import of it now raises ModuleNotFoundError

import numpy as np
import skscratch.nn as nn

rng = np.random.default_rng(0)
X = rng.standard_normal((60, 2))
Y = np.eye(2)[(X[:, 0] * X[:, 1] > 0).astype(int)]
network = nn.Network(nn.Architecture([2, 16, 2], [nn.ReLU()]))
network.initialize([nn.HeNormal(), nn.GlorotUniform()], [rng])
learner = nn.Learner(network, nn.LOSSES["log_loss"](), nn.Adam(), learning_rate=0.02)
nn.fit(learner, nn.Batches(X, Y, batch_size=20, streams=[rng]), 100)
assert np.mean(network.predict(X).argmax(axis=1) == Y.argmax(axis=1)) > 0.95
print("trained")
"""


def test_imports_and_trains_with_numpy_alone():
    """In a process of its own, with the package's folder on the path and its warnings as errors."""
    path = f"import sys; sys.path.insert(0, {str(FOLDER.parents[1])!r})"
    finished = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            f"{path}\n{SCRIPT}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == "trained\n"


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: path.name)
def test_no_module_imports_anything_but_numpy_and_the_standard_library(path):
    """Also inside functions, where the import of the package alone would not show it."""
    roots = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level <= len(path.relative_to(FOLDER).parts)
            roots |= {node.module.split(".")[0]} if node.level == 0 else set()
    assert roots <= {"numpy", *sys.stdlib_module_names}


def test_all_names_exist_once():
    assert len(nn.__all__) == len(set(nn.__all__))
    assert all(hasattr(nn, name) for name in nn.__all__)
