import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
    make_friedman1,
)
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import scale

from skscratch import Normal, ScratchMLPClassifier, ScratchMLPRegressor, from_sklearn
from skscratch.inspection import diagnose, gradient_check

from ..conftest import Cauchit, cancer, classifier, diabetes, iris, multilabel, regressor, state

# Textbook networks: gradient descent on ReLU, without the defaults' helps.
PLAIN = {
    "hidden_layer_sizes": (16, 8),
    "activation": "relu",
    "init": "auto",
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "l2": 1e-4,
    "max_iter": 60,
}
seeds = pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 6))]
)


def wine():
    X, y = load_wine(return_X_y=True)
    return scale(X), y


def names(diagnosis):
    return [finding.name for finding in diagnosis.findings]


def plain(seed, **params):
    return classifier(**{**PLAIN, "random_state": seed, **params})


# The sick ---------------------------------------------------------------------------------------


@seeds
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_iris_with_learning_rate_100(optimizer, seed):
    X, y = iris()
    clf = plain(seed, optimizer=optimizer, learning_rate=100).fit(X, y)
    first = diagnose(clf, X, y).findings[0]
    assert first.name == "learning rate too large"
    assert first.severity == "error"
    suggested = float(first.remedy.split("=")[1].split()[0])
    assert 1e-4 < suggested < 1
    better = plain(seed, optimizer=optimizer, learning_rate=suggested, max_iter=200).fit(X, y)
    assert better.score(X, y) > 0.9


@seeds
def test_iris_with_learning_rate_100_and_the_defaults(seed):
    X, y = load_iris(return_X_y=True)
    clf = ScratchMLPClassifier((32, 32), learning_rate=100, random_state=seed).fit(X, y)
    assert names(diagnose(clf, X, y))[0] == "learning rate too large"


def test_a_fit_that_failed():
    X, y = iris()
    clf = plain(0, activation="selu", learning_rate=100, hidden_layer_sizes=(32, 32, 32))
    with pytest.raises(ValueError, match="diverged"):
        clf.fit(X, y)
    before = state(clf)
    found = diagnose(clf, X, y)
    assert names(found)[:2] == ["non-finite loss", "learning rate too large"]
    assert "epoch 1" in found.findings[0].evidence
    assert "trained for this" in found.title
    assert state(clf) == before


@seeds
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_20_layers_of_sigmoid(optimizer, seed):
    X, y = iris()
    clf = ScratchMLPClassifier(
        (16,) * 20, activation="sigmoid", optimizer=optimizer, max_iter=20, random_state=seed
    )
    found = diagnose(clf.fit(X, y), X, y)
    assert names(found)[0] == "vanishing gradients"
    assert found.findings[0].layer.startswith("layers 1 to ")
    assert "constant predictions" in names(found)


@seeds
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize(("factor", "offset"), [(1e4, 0), (1, 5e3), (1e-4, 0)])
def test_unscaled_features(optimizer, factor, offset, seed):
    X, y = iris()
    clf = plain(seed, optimizer=optimizer, learning_rate=0.01)
    X = factor * X + offset
    first = diagnose(clf.fit(X, y), X, y).findings[0]
    assert first.name == "unscaled inputs"
    assert "feature_scaling='robust'" in first.remedy
    clf.set_params(feature_scaling="robust").fit(X, y)
    assert "unscaled inputs" not in names(diagnose(clf, X, y, range_test=False))


def test_unscaled_features_are_named():
    X, y = load_wine(return_X_y=True, as_frame=True)
    first = diagnose(plain(0, max_iter=5), X, y).findings[0]
    assert first.name == "unscaled inputs"
    assert "proline" in first.evidence  # of around 700, the others of less than 120


def test_unscaled_targets():
    X, y = diabetes()
    reg = regressor(standardize_target=False, learning_rate=1e-3)
    assert names(diagnose(reg.fit(X, y), X, y))[0] == "unscaled targets"
    assert "unscaled targets" not in names(diagnose(regressor().fit(X, y), X, y))


@seeds
def test_exploding_gradients(seed):
    X, y = iris()
    clf = plain(seed, hidden_layer_sizes=(50,) * 6, init=Normal(std=1.0), max_iter=2)
    found = diagnose(clf, X, y)
    assert "exploding gradients" in names(found)
    assert any("init='auto'" in finding.remedy for finding in found.findings)


@seeds
def test_dead_relu(seed):
    X, y = iris()
    clf = plain(seed).fit(X, y)
    clf.network_.dense[1].b[...] = -50.0
    (dead,) = (f for f in diagnose(clf, X, y).findings if f.name == "dead units")
    assert dead.layer == "layer 2"
    assert "leaky_relu" in dead.remedy
    # The same network of leaky ReLUs has none.
    clf = plain(seed, activation="leaky_relu").fit(X, y)
    clf.network_.dense[1].b[...] = -50.0
    assert "dead units" not in names(diagnose(clf, X, y))


@seeds
def test_saturated_tanh(seed):
    X, y = wine()
    clf = plain(seed, activation="tanh", init=Normal(std=5.0), learning_rate=0.01).fit(X, y)
    saturated = [f for f in diagnose(clf, X, y).findings if f.name == "saturated units"]
    assert len(saturated) == 1
    assert "init='auto'" in saturated[0].remedy


@seeds
def test_learning_rate_too_small(seed):
    X, y = iris()
    for params in ({"learning_rate": 1e-5}, {"optimizer": "adam", "learning_rate": 1e-7}):
        found = diagnose(plain(seed, **params).fit(X, y), X, y)
        assert names(found)[0] == "learning rate too small"


@seeds
def test_too_few_steps(seed):
    X, y = iris()
    found = diagnose(plain(seed, learning_rate=0.02, max_iter=4).fit(X, y), X, y)
    assert names(found) == ["too few steps"]
    assert "max_iter, to 40" in found.findings[0].remedy
    assert names(diagnose(plain(seed, max_iter=1).fit(X, y), X, y)) == ["too few steps"]


@seeds
@pytest.mark.parametrize("make", [classifier, regressor])
def test_overfitting(make, seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((120, 20))
    y = rng.standard_normal(120) if make is regressor else rng.integers(0, 2, 120)
    est = make(hidden_layer_sizes=(100,), random_state=seed, max_iter=60).fit(X[:60], y[:60])
    found = diagnose(est, X[:60], y[:60], X_val=X[60:], y_val=y[60:])
    assert names(found) == ["overfitting"]
    assert "on 60 others" in found.findings[0].evidence
    # Without rows to judge by, nothing is said but that.
    found = diagnose(est, X[:60], y[:60])
    assert names(found) == []
    assert "X_val" in found.notes[0]


def test_overfitting_by_the_rows_held_out():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((200, 200)), rng.integers(0, 2, 200)
    clf = classifier(hidden_layer_sizes=(100,), max_iter=40, early_stopping=True)
    found = diagnose(clf.fit(X, y), X, y)
    assert names(found) == ["overfitting"]
    assert "on 40 held out" in found.findings[0].evidence


def imbalanced(seed):
    rng = np.random.default_rng(seed)
    y = (np.arange(1000) % 100 == 0).astype(int)
    return rng.standard_normal((1000, 5)) + 0.7 * y[:, np.newaxis], np.array(["no", "yes"])[y]


@seeds
def test_ignored_imbalance(seed):
    X, y = imbalanced(seed)
    params = {"max_iter": 20, "l2": 1.0, "learning_rate": 0.003, "random_state": seed}
    found = diagnose(classifier(**params).fit(X, y), X, y)
    assert names(found) == ["class imbalance ignored"]
    assert "class 'yes' has 1.0% of the rows" in found.findings[0].evidence
    balanced = classifier(**params, class_weight="balanced").fit(X, y)
    assert "class imbalance ignored" not in names(diagnose(balanced, X, y))


@seeds
def test_constant_predictions(seed):
    X, y = diabetes()
    reg = regressor(l2=1e5, random_state=seed, max_iter=60).fit(X, y)
    assert "constant predictions" in names(diagnose(reg, X, y))
    X, y = iris()
    clf = classifier(l2=1e5, random_state=seed, max_iter=60).fit(X, y)
    clf.network_.dense[-1].b[0, 1] += 1
    (finding,) = (f for f in diagnose(clf, X, y).findings if f.name == "constant predictions")
    assert "the prediction is 1 on all rows" in finding.evidence


# The healthy ------------------------------------------------------------------------------------


@seeds
@pytest.mark.parametrize("data", [iris, wine])
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"activation": "tanh"},
        {"optimizer": "adam", "learning_rate": 0.01},
        {"optimizer": "lbfgs", "batch_size": "auto"},
        {"normalization": "batch", "dropout": 0.2},
        {"early_stopping": True, "n_iter_no_change": 20},
    ],
    ids=str,
)
def test_plain_networks_that_learn_are_left_in_peace(data, params, seed):
    X, y = data()
    clf = plain(seed, **{"max_iter": 100, **params}).fit(X, y)
    assert clf.score(X, y) > 0.9
    assert names(diagnose(clf, X, y)) == []


@seeds
def test_a_plain_regressor_is_left_in_peace(seed):
    X, y = make_friedman1(300, random_state=seed)
    reg = regressor(**{**PLAIN, "random_state": seed, "max_iter": 100, "learning_rate": 0.05})
    assert names(diagnose(reg.fit(X, y), X, y)) == []


@seeds
def test_what_others_learned_too_is_no_illness(seed):
    # Full-batch gradient descent on a circle, and rare classes that are recognized.
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((1000, 2))
    clf = plain(seed, batch_size="full", max_iter=600)
    assert names(diagnose(clf.fit(X, (X**2).sum(axis=1) < 1), X, (X**2).sum(axis=1) < 1)) == []
    y = (np.arange(1000) % 20 == 0).astype(int)
    X[:, 0] += 6 * y
    assert names(diagnose(plain(seed, max_iter=20).fit(X, y), X, y)) == []


DATA = {
    "iris": lambda: load_iris(return_X_y=True),
    "wine": lambda: load_wine(return_X_y=True),
    "breast cancer": lambda: load_breast_cancer(return_X_y=True),
    "digits": lambda: load_digits(return_X_y=True),
    "diabetes": lambda: load_diabetes(return_X_y=True),
    "friedman 1": lambda: make_friedman1(600, noise=0.5, random_state=0),
}


def default(data, seed):
    regression = data in ("diabetes", "friedman 1")
    return (ScratchMLPRegressor if regression else ScratchMLPClassifier)(random_state=seed)


@pytest.mark.parametrize("data", ["iris", "wine"])
def test_the_defaults_are_left_in_peace(data):
    X, y = DATA[data]()
    assert names(diagnose(default(data, 0).fit(X, y), X, y)) == []


@pytest.mark.slow
@seeds
@pytest.mark.parametrize("data", DATA)
def test_the_defaults_are_left_in_peace_everywhere(data, seed):
    X, y = DATA[data]()
    rows = np.random.default_rng(seed).permutation(len(X))
    train, test = rows[len(X) // 5 :], rows[: len(X) // 5]
    est = default(data, seed).fit(X[train], y[train])
    assert names(diagnose(est, X[train], y[train], X_val=X[test], y_val=y[test])) == []


# The report -------------------------------------------------------------------------------------


def test_text_html_and_frames():
    X, y = iris()
    clf = plain(0, learning_rate=100).fit(X, y)
    before = state(clf)
    found = diagnose(clf, X, y)
    assert state(clf) == before
    text, html = repr(found), found._repr_html_()
    for finding in found.findings:
        for part in (finding.name, finding.evidence, finding.remedy):
            assert part in text
        assert finding.name in html
    assert "<table>" in html
    frame = found.to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame["name"]) == names(found)
    layers = found.layers
    assert list(layers["layer"]) == [1, 2, 3]
    assert {"mean_gradient", "max_gradient", "update_ratio", "dead_share", "saturated_share"} < {
        *layers
    }
    assert found.range_test.suggestion > 0


def test_a_clean_bill_of_health():
    X, y = iris()
    found = diagnose(plain(0).fit(X, y), X, y, range_test=False)
    assert "Nothing was found." in repr(found)
    assert "Nothing was found." in found._repr_html_()
    assert found.range_test is None
    assert "range_test=False" in repr(found)
    assert len(found.to_frame()) == 0


def test_the_layers_statistics_by_hand():
    X, y = iris()
    clf = plain(0, l2=0.0, max_iter=5).fit(X, y)
    layers = diagnose(clf, X, y, range_test=False).layers
    A = np.maximum(X @ clf.coefs_[0] + clf.intercepts_[0], 0)
    assert layers["activation_mean"][0] == pytest.approx(A.mean())
    assert layers["activation_std"][0] == pytest.approx(A.std())
    assert layers["dead_share"][0] == np.mean((A == 0).all(axis=0))
    B = np.maximum(A @ clf.coefs_[1] + clf.intercepts_[1], 0)
    P = clf.predict_proba(X)
    dW = B.T @ (P - np.eye(3)[y]) / len(X)
    assert layers["mean_gradient"][2] == pytest.approx(np.abs(dW).mean())
    assert layers["max_gradient"][2] == pytest.approx(np.abs(dW).max())
    step = 0.1 * np.linalg.norm(dW) / np.linalg.norm(clf.coefs_[2])
    assert layers["update_ratio"][2] == pytest.approx(step)


def test_kinds_of_data():
    X, Y = multilabel()
    assert names(diagnose(classifier(max_iter=40).fit(X, Y), X, Y)) == []
    X, y = iris()
    weights = np.arange(len(X)) % 3
    found = diagnose(plain(0), sparse.csr_matrix(X), y.astype(str), sample_weight=weights)
    assert names(found) == []
    assert names(diagnose(plain(0), X.tolist(), y.tolist())) == []
    rng = np.random.default_rng(0)
    X = rng.standard_normal((3000, 3))
    assert names(diagnose(regressor(), pd.DataFrame(X, columns=list("abc")), X[:, :2])) == []
    assert names(diagnose(classifier(loss="focal", max_iter=30), *iris())) == []


def test_kinds_of_targets():
    X, Y = multilabel()
    assert names(diagnose(classifier(max_iter=40), X, sparse.csr_matrix(Y))) == []
    X, y = iris()
    words = np.array(["setosa", "versicolor", "virginica"], dtype=object)[y]
    clf = plain(0, learning_rate=100)
    (finding,) = (f for f in diagnose(clf, X, words).findings if f.name == "constant predictions")
    assert "the prediction is 'v" in finding.evidence or "'setosa'" in finding.evidence
    polars = pytest.importorskip("polars")
    rows = np.arange(1200) % 150
    frame = polars.DataFrame(X[rows], schema=["a", "b", "c", "d"])
    assert names(diagnose(plain(0, max_iter=20), frame, polars.Series(y[rows]))) == []
    diagnose(regressor(), X, np.ones(150))  # a constant target has a constant prediction


def test_what_needs_rows_held_out_is_no_hindrance():
    X, y = iris()
    clf = plain(0, early_stopping=True, n_iter_no_change=30, calibrate=True)
    assert names(diagnose(clf, X, y)) == names(diagnose(clf.fit(X, y), X, y)) == []
    assert gradient_check(clf, X, y).passed


def test_a_loss_that_is_not_finite_from_the_start():
    X, y = diabetes()
    reg = regressor(activation="relu", dtype="float64")
    found = diagnose(reg, X * 1e200, y)
    assert names(found)[:2] == ["unscaled inputs", "non-finite loss"]
    assert found.findings[1].remedy == "scale the data, see above"
    assert found.range_test is None
    assert "the range of learning rates" in str(found)
    reg.set_params(optimizer="lbfgs", hidden_layer_sizes=(4,))
    assert "non-finite loss" in names(diagnose(reg, X * 1e200, y))


def test_lbfgs_that_diverges_is_told_to_give_way():
    X, y = diabetes()
    reg = regressor(loss="poisson", optimizer="lbfgs", init=Normal(std=100.0), dtype="float64")
    found = diagnose(reg, X, y)
    finding = found.findings[names(found).index("non-finite loss")]
    assert finding.remedy == "take another optimizer, or a larger l2"


def test_a_loss_with_another_link_is_judged_by_its_start():
    X, y = cancer()
    found = diagnose(plain(0, loss=Cauchit(), max_iter=20), X, y)
    assert "constant predictions" not in names(found)


def test_networks_that_others_trained():
    X, y = iris()
    for params in ({}, {"solver": "lbfgs"}):
        mlp = MLPClassifier((16,), max_iter=300, learning_rate_init=0.01, random_state=0, **params)
        assert names(diagnose(from_sklearn(mlp.fit(X, y)), X, y)) == []
    clf = plain(0)
    for _ in range(50):
        clf.partial_fit(X, y, np.unique(y))
    assert names(diagnose(clf, X, y)) == []


def test_no_warnings_reach_the_user():
    X, y = iris()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        diagnose(plain(0, n_iter_no_change=10, learning_rate=1e3, max_iter=3), X, y)


def test_what_is_refused():
    X, y = iris()
    with pytest.raises(TypeError, match="must be a ScratchMLPClassifier"):
        diagnose("clf", X, y)
    with pytest.raises(ValueError, match="X_val and y_val go together"):
        diagnose(plain(0), X, y, X_val=X)
    with pytest.raises(ValueError, match="Unknown activation"):
        diagnose(plain(0, activation="rleu"), X, y)


def test_one_epoch_of_many_steps_is_enough():
    X, y = load_digits(return_X_y=True)
    clf = plain(0, max_iter=1, batch_size=8).fit(scale(X), y)
    assert clf._fitted.learners[0].state.t == 225
    assert "too few steps" not in names(diagnose(clf, scale(X), y, range_test=False))
    clf = plain(0, max_iter=1, batch_size=20).fit(scale(X), y)
    assert "too few steps" in names(diagnose(clf, scale(X), y, range_test=False))


def test_units_that_died_in_training():
    X, y = load_digits(return_X_y=True)
    clf = plain(0, learning_rate=10, max_iter=10)
    found = diagnose(clf, scale(X)[:600], y[:600])
    finding = found.findings[names(found).index("learning rate too large")]
    assert "most units of a layer died in training" in finding.evidence
    assert "dead units" in names(found)


@pytest.mark.parametrize("rate", [3.0, 5.0])
def test_a_rate_that_killed_the_units_at_once(rate):
    X, y = load_digits(return_X_y=True)
    clf = ScratchMLPClassifier(
        (64, 32),
        activation="relu",
        optimizer="momentum",
        learning_rate=rate,
        lr_schedule="constant",
        n_networks=1,
        max_iter=10,
        random_state=0,
    )
    clf.fit(X[:600], y[:600])
    names = [finding.name for finding in diagnose(clf, X[:600], y[:600]).findings]
    assert "learning rate too large" in names
