import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import skscratch

ROOT = Path(__file__).parents[2]
OLDEST = ROOT / ".ci/oldest.txt"


def run(code):
    """Run code in a new interpreter and return what it prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def block(*names):
    """Return code that makes the packages unavailable."""
    return (
        "import sys\n"
        "class Block:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name.split('.')[0] in {names}: raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Block())\n"
    )


def test_import_loads_neither_scikit_learn_nor_scipy():
    loaded = run("import skscratch, sys; print(*sorted(sys.modules))").split()
    assert "skscratch" in loaded
    assert not {"sklearn", "scipy", "numpy", "pandas"} & set(loaded)


def test_the_network_needs_numpy_alone():
    run(
        block("sklearn", "scipy", "pandas")
        + "import skscratch.nn\nfrom skscratch import SGD, Cosine, ELU, Normal"
    )


def test_pandas_and_polars_are_not_needed():
    printed = run(
        block("pandas", "polars", "matplotlib") + "from skscratch import ScratchMLPClassifier\n"
        "from sklearn.datasets import load_iris\n"
        "X, y = load_iris(return_X_y=True)\n"
        "print(ScratchMLPClassifier(max_iter=2, lr_schedule='cosine').fit(X, y).predict(X).shape)"
    )
    assert printed == "(150,)"


@pytest.mark.parametrize("name", skscratch.__all__)
def test_every_public_name_is_there(name):
    value = getattr(skscratch, name)
    assert name == "__version__" or value.__name__ == name
    assert name in dir(skscratch)


def test_star_import():
    assert run("from skscratch import *; print(SGD(momentum=0.5), __version__)") == (
        f"SGD(momentum=0.5, nesterov=False) {skscratch.__version__}"
    )


def test_estimators_are_public():
    assert {"ScratchMLPClassifier", "ScratchMLPRegressor"} <= set(skscratch.__all__)


def test_unknown_attribute():
    with pytest.raises(AttributeError, match="'skscratch' has no attribute 'ScratchMLP'"):
        skscratch.ScratchMLP  # noqa: B018
    with pytest.raises(ImportError, match="MLPClassifier"):
        from skscratch import MLPClassifier  # noqa: F401


def test_typed():
    assert files("skscratch").joinpath("py.typed").is_file()


def test_version_is_three_numbers():
    assert all(part.isdigit() for part in skscratch.__version__.split(".")[:2])
    assert len(skscratch.__version__.split(".")) >= 3


def test_subpackages_need_no_import_of_their_own():
    assert skscratch.nn.ReLU().in_place
    assert skscratch.callbacks.TimeBudget(1).seconds == 1
    assert {"nn", "callbacks"} <= set(dir(skscratch))


def bounds(requirements, operator):
    """Return the version that each requirement names after the operator."""
    return {
        requirement.name: Version(specifier.version)
        for requirement in map(Requirement, requirements)
        for specifier in requirement.specifier
        if specifier.operator == operator
    }


@pytest.mark.skipif(not OLDEST.exists(), reason="not a clone or an sdist")
def test_the_oldest_versions_that_are_allowed_are_those_that_are_tested():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    required = [*project["dependencies"], *extras["plots"], *extras["onnx"], *extras["tests"]]
    named = {Requirement(text).name for text in required} - {"skscratch"}
    lines = OLDEST.read_text("utf-8").splitlines()
    pinned = bounds([line for line in lines if line and not line.startswith("#")], "==")
    assert pinned == bounds(required, ">=")
    assert set(pinned) == named
