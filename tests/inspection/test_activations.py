import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from skscratch import from_sklearn
from skscratch.inspection import HiddenLayerTransformer, activations

from ..conftest import BOTH, classifier, iris, regressor, state

SMALL = {"hidden_layer_sizes": (7, 5), "max_iter": 3}


def test_activations_are_those_of_a_loop_over_scikit_learns_weights():
    X, y = iris()
    mlp = MLPClassifier((6, 4), activation="relu", max_iter=20, random_state=0).fit(X, y)
    found = activations(from_sklearn(mlp), X)
    A = X
    for number, (W, b) in enumerate(zip(mlp.coefs_, mlp.intercepts_, strict=True), start=1):
        Z = A @ W + b
        np.testing.assert_allclose(found[f"dense {number}"], Z, rtol=1e-10)
        A = np.maximum(Z, 0)
        if number < 3:
            np.testing.assert_allclose(found[f"activation {number}"], A, rtol=1e-10)
    assert list(found) == ["dense 1", "activation 1", "dense 2", "activation 2", "dense 3"]


@pytest.mark.parametrize(("make", "data"), BOTH)
def test_the_last_activations_are_the_logits_and_the_estimator_stays_as_it_is(make, data):
    X, y = data()
    est = make(**SMALL, dropout=0.5, normalization="batch", feature_scaling="robust").fit(X, y)
    before = state(est)
    logits = list(activations(est, X).values())[-1]
    np.testing.assert_allclose(logits, est._predict(X), rtol=1e-10)
    assert state(est) == before


@parametrize_with_checks(
    [
        HiddenLayerTransformer(classifier(batch_size="full")),
        HiddenLayerTransformer(regressor(batch_size="full", **SMALL), layer=0),
    ]
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("layer", [0, 1, -1, -2])
@pytest.mark.parametrize("as_sparse", [False, True])
def test_the_transformer_gives_a_hidden_layers_activations(layer, as_sparse):
    X, y = iris()
    X = sparse.csr_matrix(X) if as_sparse else X
    params = {"dropout": 0.5, "normalization": "layer", "feature_scaling": "robust"}
    clf = classifier(**SMALL, **params).fit(X, y)
    hidden = HiddenLayerTransformer(FrozenEstimator(clf), layer=layer).fit(X, y)
    name = f"activation {layer % 2 + 1}"
    np.testing.assert_allclose(hidden.transform(X), activations(clf, X)[name], rtol=1e-10)


def test_a_linear_model_on_the_last_hidden_layer_can_be_the_networks_own_last_layer():
    X, y = iris()
    clf = classifier(**SMALL).fit(X, y)
    A = HiddenLayerTransformer(FrozenEstimator(clf)).fit_transform(X)
    Z = A @ clf.coefs_[-1] + clf.intercepts_[-1]
    np.testing.assert_allclose(Z, clf.decision_function(X), rtol=1e-10)


def test_a_frozen_network_stays_as_it_is_and_another_is_trained():
    X, y = iris()
    clf = classifier(**SMALL).fit(X, y)
    before = state(clf)
    assert HiddenLayerTransformer(FrozenEstimator(clf)).fit(X[:50], y[:50]).estimator_ is clf
    trained = HiddenLayerTransformer(clf).fit(X, y, np.ones(len(X)))
    assert trained.estimator_ is not clf
    assert state(clf) == before
    np.testing.assert_array_equal(trained.estimator_.coefs_[0], clf.coefs_[0])


def test_the_transformer_in_a_pipeline_with_data_frames():
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = make_pipeline(HiddenLayerTransformer(classifier(**SMALL)), PCA(2), LogisticRegression())
    model.set_output(transform="pandas")
    assert model.fit(X, y).score(X, y) > 0.8
    hidden = model[0].transform(X)
    assert isinstance(hidden, pd.DataFrame)
    assert list(hidden) == [f"hiddenlayertransformer{i}" for i in range(5)]
    assert list(model[0].feature_names_in_) == list(X)


def test_what_the_transformer_refuses():
    X, y = iris()
    clf = classifier(**SMALL)
    with pytest.raises(ValueError, match=r"layer must be from -2 to 1.*got 2"):
        HiddenLayerTransformer(clf, layer=2).fit(X, y)
    with pytest.raises(ValueError, match=r"layer must be an integer >= -2, got -3"):
        HiddenLayerTransformer(clf, layer=-3).fit(X, y)
    with pytest.raises(TypeError, match="layer must be an integer"):
        HiddenLayerTransformer(clf, layer="last").fit(X, y)
    with pytest.raises(ValueError, match="no hidden layer"):
        HiddenLayerTransformer(classifier(hidden_layer_sizes=())).fit(X, y)
    with pytest.raises(TypeError, match="got one of type LogisticRegression"):
        HiddenLayerTransformer(LogisticRegression()).fit(X, y)
    with pytest.raises(NotFittedError):
        HiddenLayerTransformer(FrozenEstimator(clf)).fit(X, y)
    with pytest.raises(NotFittedError):
        HiddenLayerTransformer(clf).transform(X)
    with pytest.raises(NotFittedError):
        activations(clf, X)
