"""What a checkpoint recognizes, and what it refuses to resume."""

import copy
import os
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse

from skscratch import LBFGS, SGD
from skscratch.callbacks import Checkpoint, _checkpoint

from ..conftest import BOTH, classifier, iris, regressor
from .checks import assert_same_run, interrupted, resume, state_without_callbacks

both = pytest.mark.parametrize(("make", "data"), BOTH)

CHANGES = {
    "X": lambda X, y: ({}, (X + 1e-9, y), {}),
    "fewer rows": lambda X, y: ({}, (X[:-1], y[:-1]), {}),
    "order": lambda X, y: ({}, (X[::-1], y[::-1]), {}),
    "y": lambda X, y: ({}, (X, y[::-1].copy()), {}),
    "weights": lambda X, y: ({}, (X, y, np.linspace(1, 2, len(y))), {}),
    "validation data": lambda X, y: ({}, (X, y), {"X_val": X, "y_val": y}),
    "learning rate": lambda X, y: ({"learning_rate": 0.02}, (X, y), {}),
    "max_iter": lambda X, y: ({"max_iter": 6}, (X, y), {}),
    "optimizer": lambda X, y: ({"optimizer": SGD(momentum=0.5)}, (X, y), {}),
    "dtype": lambda X, y: ({"dtype": "float32"}, (X, y), {}),
}


@both
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_other_data_or_parameters_are_refused(make, data, change, tmp_path):
    X, y = data()
    interrupted(make(), tmp_path / "checkpoint", 3, X, y)
    content = (tmp_path / "checkpoint").read_bytes()
    params, other, given = change(X, y)
    estimator = make(**params).set_callbacks(Checkpoint(tmp_path / "checkpoint", resume=True))
    before = state_without_callbacks(estimator)
    with pytest.raises(ValueError, match="written by a fit with other data or parameters"):
        estimator.fit(*other, **given)
    assert state_without_callbacks(estimator) == before
    assert (tmp_path / "checkpoint").read_bytes() == content


@both
def test_other_validation_data_are_refused(make, data, tmp_path):
    X, y = data()
    estimator = make(early_stopping=True)
    interrupted(estimator, tmp_path / "checkpoint", 3, X, y, X_val=X[::2], y_val=y[::2])
    estimator.set_callbacks(Checkpoint(tmp_path / "checkpoint", resume=True))
    with pytest.raises(ValueError, match="other data"):
        estimator.fit(X, y, X_val=X[1::2], y_val=y[1::2])


@both
def test_another_call_of_the_same_run_is_refused(make, data, tmp_path):
    # It would take the finished first call for its own, and make no epoch.
    X, y = data()
    checkpoint = Checkpoint(tmp_path / "checkpoint", resume=True)
    estimator = make(warm_start=True).set_callbacks(checkpoint).fit(X, y)
    before = state_without_callbacks(estimator)
    for method in (estimator.fit, estimator.partial_fit):
        with pytest.raises(ValueError, match="earlier call of the same run"):
            method(X, y)
    assert state_without_callbacks(estimator) == before


FRAMES = {
    "pandas": lambda X: pd.DataFrame(X).rename(columns=str),
    "polars": pl.DataFrame,
    "sparse": scipy.sparse.csr_matrix,
    "Fortran order": np.asfortranarray,
}


@pytest.mark.parametrize("form", FRAMES.values(), ids=FRAMES)
def test_equal_data_are_recognized(form, tmp_path):
    X, y = iris()
    X = np.round(X)
    interrupted(classifier(), tmp_path / "checkpoint", 3, form(X), y)
    for _ in range(2):
        assert resume(classifier(), tmp_path / "checkpoint", form(X), y) in (2, 0)


@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize("optimizer", ["lbfgs", LBFGS()], ids=repr)
def test_lbfgs_has_no_checkpoints(make, optimizer, tmp_path):
    estimator = make(optimizer=optimizer).set_callbacks(Checkpoint(tmp_path / "checkpoint"))
    before = state_without_callbacks(estimator)
    with pytest.raises(ValueError, match="Checkpoint needs a stochastic optimizer"):
        estimator.fit(*iris())
    assert state_without_callbacks(estimator) == before
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_checkpoint_is_named(tmp_path):
    path = tmp_path / "run.ckpt"
    path.write_bytes(b"not a pickle")
    with pytest.raises(ValueError, match=r"run\.ckpt is no checkpoint"):
        classifier().set_callbacks(Checkpoint(path, resume=True)).fit(*iris())


def test_a_checkpoint_of_another_version_is_named(tmp_path, monkeypatch):
    path = tmp_path / "run.ckpt"
    with monkeypatch.context() as patch:
        patch.setattr("skscratch.callbacks._checkpoint.CHECKPOINT_FORMAT", 7)
        classifier().set_callbacks(Checkpoint(path)).fit(*iris())
    before = path.read_bytes()
    clf = classifier().set_callbacks(Checkpoint(path, resume=True))
    with pytest.raises(ValueError, match="another version of skscratch: its format is 7, and"):
        clf.fit(*iris())
    assert path.read_bytes() == before
    assert not clf.__sklearn_is_fitted__()
    path.write_bytes(pickle.dumps({"fingerprint": "one of the time before there were formats"}))
    with pytest.raises(ValueError, match="one of another version of skscratch"):
        clf.fit(*iris())


def scores(*args):
    return 1.0


def other_scores(*args):
    return 2.0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"random_state": np.random.RandomState(3)}, {"random_state": np.random.RandomState(4)}),
        ({"scoring": lambda *args: 1.0}, {"scoring": lambda *args: 2.0}),
        ({"scoring": scores}, {"scoring": other_scores}),
        ({"optimizer": SGD(momentum=0.5)}, {"optimizer": SGD(momentum=0.6)}),
    ],
    ids=["RandomState", "lambda", "function", "object"],
)
def test_other_parameters_are_refused(before, after, tmp_path):
    path = tmp_path / "run.ckpt"
    before = copy.deepcopy(before) | {"early_stopping": True, "n_iter_no_change": 99}
    again = copy.deepcopy(before)
    whole = classifier(**before, max_iter=4).set_callbacks(Checkpoint(path)).fit(*iris())
    resumed = classifier(**again, max_iter=4).set_callbacks(Checkpoint(path, resume=True))
    assert_same_run(resumed.fit(*iris()), whole)
    other = classifier(**(again | after), max_iter=4).set_callbacks(Checkpoint(path, resume=True))
    with pytest.raises(ValueError, match="other data or parameters"):
        other.fit(*iris())


FINGERPRINT = """
import sys
from sklearn.datasets import load_iris
from skscratch import ScratchMLPClassifier
from skscratch.callbacks import Checkpoint

source = '''
def score(estimator, X, y, known=frozenset({"setosa", "versicolor"})):
    kinds = [name for name in ("a", "b") if name in {"setosa", "versicolor", "virginica"}]
    return float(len(kinds) + all(label in known for label in ("setosa",)))
'''
names = {}
exec(compile(source, sys.argv[2], "exec"), names)
clf = ScratchMLPClassifier((4,), early_stopping=True, scoring=names["score"], max_iter=2,
                           lr_schedule="constant", random_state=0)
clf.set_callbacks(Checkpoint(sys.argv[1], resume=True)).fit(*load_iris(return_X_y=True))
"""


def test_a_function_is_recognized_in_another_process(tmp_path):
    for seed in ("1", "2"):
        process = subprocess.run(
            [sys.executable, "-c", FINGERPRINT, str(tmp_path / "run.ckpt"), f"cell {seed}"],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert process.returncode == 0, process.stderr


def test_functions_are_told_apart():
    def enclosing(value):
        return lambda *args: value

    functions = [
        lambda *args: np.mean(args),
        lambda *args: np.max(args),
        lambda *args, power=1: power,
        lambda *args, power=2: power,
        enclosing(1),
        enclosing(2),
        lambda *args: [x for x in args if x in {1, 2}],
        lambda *args: [x for x in args if x in {1, 3}],
    ]
    found = [repr(_checkpoint._recognize(function)) for function in functions]
    assert len(set(found)) == len(found)


def test_verbose_is_not_part_of_the_fingerprint(tmp_path):
    path = tmp_path / "run.ckpt"
    classifier().set_callbacks(Checkpoint(path)).fit(*iris())
    again = classifier(verbose=True).set_callbacks(Checkpoint(path, resume=True)).fit(*iris())
    assert again.n_iter_ == classifier().max_iter
