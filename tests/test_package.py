import subprocess
import sys
from importlib.resources import files

import pytest

import skscratch


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
