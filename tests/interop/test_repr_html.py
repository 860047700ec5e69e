"""What notebooks show of an estimator, drawn by scikit-learn."""

import html
import re

import pytest
import sklearn
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr

from skscratch import SGD, ScratchMLPClassifier

from ..conftest import BOTH, classifier, diabetes, iris, regressor

both = pytest.mark.parametrize(("make", "data"), BOTH)
shows_parameters = pytest.mark.skipif(
    tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 8),
    reason="older versions show no table of parameters",
)
CAPTIONS = re.compile(r'<div class="caption">(.*?)</div>')


def captions(estimator):
    return [html.unescape(text) for text in CAPTIONS.findall(estimator_html_repr(estimator))]


@both
def test_a_fitted_estimator_shows_its_network(make, data):
    X, y = data()
    estimator = make(hidden_layer_sizes=(9, 5), max_iter=3).fit(X, y)
    (caption,) = captions(estimator)
    n_parameters = sum(array.size for array in [*estimator.coefs_, *estimator.intercepts_])
    sizes = f"{X.shape[1]} → 9 → 5 → {estimator.n_outputs_}"
    assert caption == f"{sizes}, {n_parameters} parameters, float64, 3 epochs"
    assert caption in html.unescape(estimator._repr_html_())


@both
def test_the_plan_follows(make, data):
    estimator = make()
    for shown in (estimator._repr_html_(), estimator._repr_mimebundle_()["text/html"]):
        assert "What fit did" not in shown
    estimator.fit(*data())
    for shown in (estimator._repr_html_(), estimator._repr_mimebundle_()["text/html"]):
        assert estimator.plan_._repr_html_() in shown
    with sklearn.config_context(display="text"):
        assert "text/html" not in estimator._repr_mimebundle_()
        assert not hasattr(estimator, "_repr_html_")


@both
def test_an_unfitted_one_has_none(make, data):
    assert captions(make()) == []
    assert captions(clone(make().fit(*data()))) == []


def test_all_parameters_and_epochs_count():
    X, y = iris()
    clf = classifier(
        hidden_layer_sizes=(1000,),
        dtype="float32",
        normalization="batch",
        feature_scaling="learned",
    )
    clf.set_params(max_iter=1, warm_start=True).fit(X, y).fit(X, y)
    clf.partial_fit(X, y)
    # Four scales, two matrices and their biases, and the scale and shift of a thousand units.
    n_parameters = 4 + 4 * 1000 + 1000 + 1000 * 3 + 3 + 2 * 1000
    assert captions(clf) == [f"4 → 1000 → 3, {n_parameters:,} parameters, float32, 3 epochs"]


def test_one_of_each():
    X, y = diabetes()
    linear = regressor(hidden_layer_sizes=(), max_iter=1).fit(X[:, :1], y)
    assert captions(linear) == ["1 → 1, 2 parameters, float64, 1 epoch"]


def test_inside_pipelines_and_searches():
    X, y = iris()
    pipeline = make_pipeline(StandardScaler(), classifier()).fit(X, y)
    caption = "4 → 8 → 3, 67 parameters, float64, 5 epochs"
    assert captions(pipeline) == [caption]
    assert "StandardScaler" in estimator_html_repr(pipeline)
    search = GridSearchCV(pipeline, {"scratchmlpclassifier__dropout": [0.0]}, cv=2)
    assert captions(search) == [caption]  # that of the estimator passed
    assert captions(clone(search)) == []
    assert captions(search.fit(X, y)) == [caption]


def test_changed_parameters_are_shown_as_in_other_estimators():
    shown = html.unescape(estimator_html_repr(ScratchMLPClassifier((3,), l2=0.5)))
    assert "ScratchMLPClassifier(hidden_layer_sizes=(3,), l2=0.5)" in shown


@pytest.mark.parametrize("fitted", [False, True])
@pytest.mark.parametrize(("make", "data"), BOTH)
def test_there_is_no_link_as_long_as_there_is_no_site(make, data, fitted):
    estimator = make(max_iter=1)
    if fitted:
        estimator.fit(*data())
    links = re.findall(r'href="([^"]*)"', estimator_html_repr(estimator))
    assert not any(links), links


@both
def test_the_epoch_whose_weights_early_stopping_keeps(make, data):
    X, y = data()
    estimator = make(max_iter=20, learning_rate=0.1, early_stopping=True).fit(X, y)
    assert 1 < estimator.best_epoch_ < 20
    (caption,) = captions(estimator)
    assert caption.endswith(f"float64, epoch {estimator.best_epoch_} of 20")


@shows_parameters
def test_parameters_of_an_object_are_shown_too():
    shown = estimator_html_repr(ScratchMLPClassifier(optimizer=SGD(momentum=0.8)))
    assert "optimizer__momentum" in shown
    assert "0.8" in shown


def test_text_display_is_left_to_scikit_learn():
    with sklearn.config_context(display="text"):
        assert not hasattr(classifier(), "_repr_html_")
        assert set(classifier()._repr_mimebundle_()) == {"text/plain"}
    assert {"text/plain", "text/html"} == set(classifier()._repr_mimebundle_())
