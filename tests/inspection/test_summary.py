import pickle
import sys

import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from skscratch.inspection import summary
from skscratch.inspection._report import show_bytes

from ..conftest import BOTH, classifier, iris, state


def test_shapes_parameters_and_cost_by_hand():
    X, y = iris()
    params = {
        "normalization": "batch",
        "dropout": 0.1,
        "feature_scaling": "learned",
        "dtype": "float32",
    }
    found = summary(classifier(hidden_layer_sizes=(8,), **params).fit(X, y))
    frame = found.to_frame().set_index("layer")
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.index) == ["dense 1", "batch norm 1", "activation 1", "dropout 1", "dense 2"]
    assert list(frame["parameters"]) == [4 * 8 + 8 + 4, 8 + 8, 0, 0, 8 * 3 + 3]
    assert list(frame["outputs"]) == [8, 8, 8, 8, 3]
    assert frame["arrays"]["batch norm 1"] == "gamma (1, 8), beta (1, 8)"
    # A product of (1, n) and (n, m) takes 2 n m; the first layer's dX is not computed.
    assert list(frame["FLOPs forward"]) == [2 * 4 * 8, 0, 0, 0, 2 * 8 * 3]
    assert list(frame["backward"]) == [2 * 4 * 8 + 8, 0, 0, 0, 2 * 2 * 8 * 3 + 3]
    assert found.forward_flops == 64 + 48
    assert found.memory["parameters"] == 4 * found.n_parameters == found.memory["gradient"]
    assert found.memory["optimizer"] == 2 * found.memory["parameters"]  # Adam's m and v
    assert found.memory["statistics"] == 4 * 2 * 8


@pytest.mark.parametrize(("make", "data"), BOTH)
def test_parameters_are_those_of_the_arrays(make, data):
    X, y = data()
    est = make(hidden_layer_sizes=(7, 5), max_iter=1).fit(X, y)
    arrays = [*est.coefs_, *est.intercepts_]
    assert summary(est).n_parameters == sum(array.size for array in arrays)


@pytest.mark.parametrize(("optimizer", "n_arrays"), [("sgd", 0), ("momentum", 1), ("lbfgs", 20)])
def test_what_the_optimizer_keeps(optimizer, n_arrays):
    X, y = iris()
    clf = classifier(optimizer=optimizer, batch_size="auto", max_iter=1).fit(X, y)
    memory = summary(clf).memory
    assert memory["optimizer"] == n_arrays * memory["parameters"]


def test_the_report_and_that_the_estimator_stays_as_it_is():
    X, y = iris()
    clf = classifier(dropout=0.5).fit(X, y)
    before = state(clf)
    found = summary(clf)
    assert "ScratchMLPClassifier: 4 → 8 → 3 in float64" in repr(found)
    assert f"Parameters: {found.n_parameters}" in repr(found)
    assert "<table>" in found._repr_html_()
    assert state(clf) == before
    assert repr(pickle.loads(pickle.dumps(found))) == repr(found)


def test_what_is_refused():
    with pytest.raises(NotFittedError):
        summary(classifier())
    with pytest.raises(TypeError, match="must be a ScratchMLPClassifier"):
        summary("clf")


@pytest.mark.parametrize(
    ("n", "text"),
    [(1023, "1023 B"), (1024, "1.0 KiB"), (2.5 * 2**20, "2.5 MiB"), (3 * 2**40, "3072.0 GiB")],
)
def test_sizes_in_memory_have_binary_units(n, text):
    assert show_bytes(n) == text


def test_a_frame_without_pandas_says_what_to_install(monkeypatch):
    X, y = iris()
    found = summary(classifier(max_iter=1).fit(X, y))
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r'pip install "skscratch\[plots\]"'):
        found.to_frame()
