"""Saved models: what comes back, what a file holds, and what is done with foreign ones."""

import copy
import io
import pickle
import warnings
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import InconsistentVersionWarning

import skscratch
from skscratch import ScratchMLPClassifier
from skscratch._base import PICKLE_FORMAT
from skscratch._fitting.settings import OPTION_TABLES
from skscratch._interop.skops import trusted_types
from skscratch.nn.activations import Activation

from ..conftest import BOTH, cancer, classifier, diabetes, iris, multilabel, regressor, state

FIXTURES = sorted(Path(__file__).with_name("fixtures").glob("*.pkl"))


def through_pickle(model):
    return pickle.loads(pickle.dumps(model))


def through_joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    return joblib.load(io.BytesIO(file.getvalue()))


def through_cloudpickle(model):
    cloudpickle = pytest.importorskip("cloudpickle")
    return cloudpickle.loads(cloudpickle.dumps(model))


def through_skops(model):
    skops = pytest.importorskip("skops.io")
    return skops.loads(skops.dumps(model), trusted=trusted_types())


ways = pytest.mark.parametrize(
    "way", [through_pickle, through_joblib, through_cloudpickle, through_skops]
)
both = pytest.mark.parametrize(("make", "data"), BOTH)

TWO = {"n_networks": 2}

# Everything that a network, and what trains it, may consist of.
VARIETIES = {
    "defaults": (classifier, iris, {"feature_scaling": "learned"}),
    "binary": (classifier, cancer, {"activation": "selu", "calibrate": True, **TWO}),
    "multilabel": (classifier, multilabel, {"loss": "focal", "class_weight": "balanced"}),
    "early stopping": (classifier, iris, {"early_stopping": True, "n_iter_no_change": 3}),
    "dropout": (regressor, diabetes, {"dropout": 0.3, "optimizer": "nadam", "dtype": "float32"}),
    "momentum": (regressor, diabetes, {"optimizer": "momentum"}),
    "batch norm": (regressor, diabetes, {"normalization": "batch", "lr_schedule": "adaptive"}),
    "layer norm": (regressor, diabetes, {"normalization": "layer", "loss": "poisson"}),
    "periodic": (regressor, diabetes, {"numerical_embedding": "periodic"}),
    "piecewise": (classifier, iris, {"numerical_embedding": "piecewise_linear"}),
    "lbfgs": (regressor, diabetes, {"optimizer": "lbfgs"}),
    "networks": (regressor, diabetes, {**TWO, "normalization": "batch", "dropout": 0.3}),
    "lbfgs of networks": (regressor, diabetes, {**TWO, "optimizer": "lbfgs"}),
}
varieties = pytest.mark.parametrize(
    ("make", "data", "params"), VARIETIES.values(), ids=list(VARIETIES)
)


def output(model, X):
    return model.predict_proba(X) if hasattr(model, "classes_") else model.predict(X)


def assert_alike(model, other, X):
    """Compare bitwise what two models predict, how they got there, and what else they show."""
    assert_array_equal(output(other, X), output(model, X))
    assert repr(other.get_params()) == repr(model.get_params())
    for name in ("loss", "learning_rate", "validation_score", "epoch"):
        assert_array_equal(other.history_[name], model.history_[name])
    for name in ("n_iter_", "t_", "best_epoch_", "best_validation_score_", "out_activation_"):
        assert getattr(other, name) == getattr(model, name)
    shared = other.network_.parameters.vector
    for learner in other._fitted.learners:
        assert np.shares_memory(learner.network.parameters.vector, shared)


# --- Round trips -------------------------------------------------------------------------------


@ways
@varieties
def test_predictions_come_back_bitwise(make, data, params, way):
    X, y = data()
    model = make(**params).fit(X, y)
    before = state(model)
    assert_alike(model, way(model), X)
    assert state(model) == before


@ways
@varieties
def test_a_warm_start_goes_on_bitwise(make, data, params, way):
    X, y = data()
    model = make(**params, warm_start=True).fit(X, y)
    other = way(model)
    assert_alike(model.fit(X, y), other.fit(X, y), X)


@ways
@pytest.mark.parametrize("variety", [name for name in VARIETIES if "lbfgs" not in name])
def test_partial_fit_goes_on_bitwise(variety, way):
    """Also with patience and the best epoch of a series, in which the fourth call is the last."""
    make, data, params = VARIETIES[variety]
    X, y = data()
    calibrate = {"calibrate": False} if make is classifier else {}
    weight = {"class_weight": None} if make is classifier else {}
    model = make(**{**params, **calibrate, **weight})
    known = {}
    if make is classifier:
        known["classes"] = np.arange(y.shape[1]) if y.ndim == 2 else np.unique(y)
    held_out = {"X_val": X[:30], "y_val": y[:30]} if variety == "early stopping" else {}
    model.partial_fit(X, y, **known, **held_out).partial_fit(X, y, **held_out)
    other = way(model)
    for _ in range(3):
        model.partial_fit(X, y, **held_out)
        other.partial_fit(X, y, **held_out)
        assert_alike(model, other, X)


@ways
@both
def test_without_moments_training_begins_as_with_a_new_optimizer(make, data, way):
    X, y = data()
    model = make(optimizer="adam").fit(X, y)
    other = way(model)
    assert not np.any(other._fitted.learners[0].state.moments)
    assert other._fitted.learners[0].state.t == 0
    # An optimizer that remembers nothing has nothing to lose.
    plain = make(optimizer="sgd").fit(X, y)
    other = way(plain)
    assert_alike(plain.partial_fit(X, y), other.partial_fit(X, y), X)


@ways
@both
def test_what_is_not_fitted_comes_back(make, data, way):
    X, y = data()
    model = make(numerical_embedding="periodic")
    other = way(model)
    assert repr(other) == repr(model)
    assert not other.__sklearn_is_fitted__()
    assert_alike(model.fit(X, y), other.fit(X, y), X)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, copy.copy])
@varieties
def test_copies_lose_nothing(make, data, params, duplicate):
    X, y = data()
    model = make(**params).fit(X, y)
    other = duplicate(model)
    before = state(model)
    model.set_params(warm_start=True)
    other.set_params(warm_start=True)
    other.fit(X, y)
    model.set_params(warm_start=False)
    assert state(model) == before  # a copy shares nothing that training changes
    assert_alike(model.set_params(warm_start=True).fit(X, y), other, X)


@both
def test_a_clone_trains_to_the_same(make, data):
    X, y = data()
    model = make().fit(X, y)
    assert_alike(model, clone(model).fit(X, y), X)


def test_a_loaded_model_goes_to_scikit_learn_and_on():
    X, y = iris()
    model = through_pickle(classifier().fit(X, y))
    mlp = model.to_sklearn()
    assert_allclose(mlp.predict_proba(X), model.predict_proba(X), atol=1e-12)
    mlp.partial_fit(X, y)


# --- Size ---------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("early_stopping", [True, False])
def test_a_file_takes_what_the_parameters_take(make, data, early_stopping):
    X, y = data()
    settings = {"hidden_layer_sizes": (200, 200), "feature_scaling": "learned"}
    model = make(**settings, early_stopping=early_stopping).fit(X, y)
    parameters = model.network_.parameters.vector.nbytes
    assert parameters < len(pickle.dumps(model)) < parameters + 10_000
    model.set_params(warm_start=True)
    assert 3 * parameters < len(pickle.dumps(model)) < 3 * parameters + 10_000


def test_a_series_keeps_its_best_epoch():
    X, y = iris()
    model = classifier(hidden_layer_sizes=(200, 200), early_stopping=True)
    model.partial_fit(X, y, classes=[0, 1, 2], X_val=X, y_val=y)
    parameters = model.network_.parameters.vector.nbytes
    assert 4 * parameters < len(pickle.dumps(model)) < 4 * parameters + 10_000


# --- Memory maps --------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["r", "c"])
@pytest.mark.parametrize("name", ["defaults", "batch norm", "periodic"])
def test_a_memory_map_predicts_and_goes_on(name, mode, tmp_path):
    make, data, params = VARIETIES[name]
    X, y = data()
    model = make(**{**params, "lr_schedule": "constant"}, warm_start=True).fit(X, y)
    joblib.dump(model, tmp_path / "model")
    written = (tmp_path / "model").read_bytes()
    other = joblib.load(tmp_path / "model", mmap_mode=mode)
    vector = other.network_.parameters.vector
    assert type(vector) is np.ndarray
    assert isinstance(vector.base, np.memmap)
    assert_alike(model, other, X)
    assert_alike(model.fit(X, y), other.fit(X, y), X)
    other.partial_fit(X, y)
    assert (tmp_path / "model").read_bytes() == written


# --- Other versions -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_models_of_earlier_releases_predict_what_they_did(path):
    """Each file was written by ``python tests/interop/fixtures/make.py`` with that release."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        saved = pickle.loads(path.read_bytes())
    for found in saved.values():
        model, X = found["model"], found["X"]
        # Another BLAS may add up in another order.
        tolerance = 1e-10 if model.network_.dtype == np.float64 else 1e-4
        assert_allclose(output(model, X), found["wanted"], rtol=tolerance, atol=tolerance)
        if hasattr(model, "partial_fit"):
            model.partial_fit(X, model.predict(X))
        assert np.isfinite(model.loss_)


def test_there_is_a_fixture_of_this_release():
    assert skscratch.__version__ in [path.stem for path in FIXTURES]


@pytest.mark.parametrize(
    ("found", "age"),
    [
        (PICKLE_FORMAT + 1, "a later"),
        (PICKLE_FORMAT - 1, "an earlier"),
        (None, "an earlier"),
        ("two", "another"),
    ],
)
@both
def test_another_format_is_refused(make, data, found, age):
    model = make().fit(*data())
    contents = model.__getstate__()
    contents.pop("_format") if found is None else contents.update(_format=found)
    wanted = f"{type(model).__name__} was saved by {age} version of skscratch, in format "
    wanted += f"{found or 0!r}, and this version reads format {PICKLE_FORMAT}"
    with pytest.raises(ValueError, match=wanted):
        object.__new__(type(model)).__setstate__(contents)


def test_scikit_learn_warns_of_what_another_of_its_versions_saved(monkeypatch):
    saved = pickle.dumps(regressor(standardize_target=True).fit(*diabetes()))
    monkeypatch.setattr("sklearn.base.__version__", "0.1")
    with pytest.warns(InconsistentVersionWarning, match="StandardScaler"):
        pickle.loads(saved)


# --- Trust ---------------------------------------------------------------------------------------


def test_all_options_are_trusted():
    skops = pytest.importorskip("skops.io")
    trusted = set(trusted_types())
    assert all(name.startswith("skscratch.") for name in trusted)
    for name, (table, _) in OPTION_TABLES.items():
        for make in filter(None, table.values()):
            model = ScratchMLPClassifier(**({name: make()}))
            assert set(skops.get_untrusted_types(data=skops.dumps(model))) <= trusted


class Recorder:
    """Records when a file makes it do something."""

    calls = 0

    def __init__(self):
        self.value = 1

    def __setstate__(self, contents):
        type(self).calls += 1
        self.__dict__.update(contents)


@dataclass
class Cube(Activation):
    def forward(self, Z, A):
        np.power(Z, 3, out=A)

    def backward(self, dA, Z, A):
        dA *= 3 * Z**2


def test_what_is_not_trusted_is_not_loaded_and_runs_nothing():
    skops = pytest.importorskip("skops.io")
    exceptions = pytest.importorskip("skops.io.exceptions")
    model = classifier().fit(*iris())
    model.l2 = Recorder()
    data = skops.dumps(model)
    with pytest.raises(exceptions.UntrustedTypesFoundException, match="Recorder"):
        skops.loads(data, trusted=trusted_types())
    with pytest.raises(exceptions.UntrustedTypesFoundException, match="skscratch"):
        skops.loads(data)
    assert Recorder.calls == 0


def test_a_class_of_your_own_is_trusted_when_you_say_so():
    skops = pytest.importorskip("skops.io")
    exceptions = pytest.importorskip("skops.io.exceptions")
    X, y = iris()
    model = classifier(activation=Cube()).fit(X, y)
    data = skops.dumps(model)
    with pytest.raises(exceptions.UntrustedTypesFoundException, match="Cube"):
        skops.loads(data, trusted=trusted_types())
    own = [f"{Cube.__module__}.Cube"]
    assert_alike(model, skops.loads(data, trusted=[*trusted_types(), *own]), X)
