"""What a diagnosis finds in the data, and that it leaves healthy data in peace."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.datasets import load_iris, load_wine
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skscratch import ScratchMLPClassifier
from skscratch.inspection import diagnose

from ..conftest import cancer, classifier, diabetes, iris, multilabel, regressor, state

seeds = pytest.mark.parametrize("seed", range(3))


def findings(*args, **kwargs):
    found = diagnose(*args, range_test=False, **kwargs).findings
    return {finding.name: finding for finding in found}


def robust(seed, **params):
    settings = {"feature_scaling": "robust", "max_iter": 20, "random_state": seed}
    return classifier(**{**settings, **params})


# Columns that scaling loses or squeezes ---------------------------------------------------------


def rescale(clf, factors):
    """Let a fitted network have scaled its features by other factors."""
    clf.feature_scaler_.scale_ = clf.feature_scaler_.scale_ * factors
    n_features = len(clf.feature_scaler_.scale_)
    clf.feature_scaler_.shift_ = clf.feature_scaler_.transform(np.zeros((1, n_features)))
    return clf


@seeds
@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix])
def test_columns_scaled_to_nothing(make, seed):
    X, y = iris()
    clf = rescale(robust(seed).fit(make(X), y), [1, 0, 1, 0])
    lost = findings(clf, make(X), y)["columns scaled to nothing"]
    assert "2 of 4 columns" in lost.evidence
    assert "number 1, number 3" in lost.evidence
    assert lost.severity == "warning"
    # A column that does not vary is not lost, be it by a hair's breadth.
    X[:, 1], X[:, 3] = 0.1, 0.1 * 3 - 0.2
    X[0, 3] = np.nextafter(X[0, 3], 1)
    assert "columns scaled to nothing" not in findings(clf, X, y)


def test_columns_that_vary_in_rows_of_weight_0_alone():
    X, y = iris()
    X[1:, 2] = X[0, 2]
    weights = np.r_[0.0, np.ones(len(X) - 1)]
    clf = robust(0).fit(X, y, sample_weight=weights)
    assert "columns scaled to nothing" not in findings(clf, X, y, sample_weight=weights)


@pytest.mark.parametrize("make", [robust, lambda seed: regressor(feature_scaling="robust")])
def test_constant_predictions_are_traced_to_lost_columns(make):
    X, y = iris() if make is robust else diabetes()
    frame = pd.DataFrame(X, columns=[f"sensor {i}" for i in range(X.shape[1])])
    found = findings(rescale(make(0).fit(frame, y), 0), frame, y)
    assert found["columns scaled to nothing"].severity == "error"
    constant = found["constant predictions"]
    assert "sensor 0, sensor 1" in constant.evidence
    assert constant.remedy == found["columns scaled to nothing"].remedy
    assert "l2" not in constant.remedy
    # Of what never varies the same cannot be said.
    found = findings(make(0), np.ones_like(X), y)
    assert "X is constant in every column" in found["constant predictions"].evidence
    assert "columns scaled to nothing" not in found


@seeds
@pytest.mark.parametrize("make", [np.asarray, sparse.csc_matrix])
def test_columns_squeezed(make, seed):
    # Two thirds are zeros; scaled as by a far smaller spread, the rest ends at the clip.
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((600, 4))
    X[:, 2] = np.where(rng.random(600) < 0.67, 0, rng.lognormal(0, 1, 600))
    y = X[:, 0] + X[:, 2] > 0.5
    clf = robust(seed, max_iter=5).fit(make(X), y)
    clf.feature_scaler_.scale_[2] = 1.0
    assert "columns squeezed" not in findings(clf, make(X), y)
    (finding,) = (
        f for name, f in findings(rescale(clf, [1, 1, 50, 1]), make(X), y).items() if "squ" in name
    )
    assert "1 of 4 columns" in finding.evidence
    assert "number 2" in finding.evidence
    assert "StandardScaler" in finding.remedy


@seeds
@pytest.mark.parametrize("tail", ["normal", "standard_cauchy", "lognormal", "poisson"])
def test_long_tails_alone_are_not_squeezed(tail, seed):
    rng = np.random.default_rng(seed)
    X = getattr(rng, tail)(size=(1500, 5)).astype(float)
    clf = robust(seed, max_iter=2, batch_size=256).fit(X, X[:, 0] > np.median(X[:, 0]))
    assert "columns squeezed" not in findings(clf, X, X[:, 0] > np.median(X[:, 0]))


# One-hot targets --------------------------------------------------------------------------------


@seeds
@pytest.mark.parametrize("make", [np.asarray, pd.DataFrame, sparse.csr_matrix])
def test_one_hot_targets(make, seed):
    X, y = iris()
    Y = make(np.eye(3, dtype=int)[y])
    for clf in (classifier(random_state=seed, max_iter=10), classifier(max_iter=5).fit(X, Y)):
        finding = findings(clf, X, Y)["one-hot targets"]
        assert "each of the 150 rows of y has exactly one 1, in 3 columns" in finding.evidence
        assert "argmax(axis=1)" in finding.remedy
        unclear = int(finding.evidence.split("of the predictions ")[1].split()[0])
        assert 0 <= unclear <= 150
    assert unclear == int((clf.predict(X).sum(axis=1) != 1).sum())


def test_labels_that_exclude_no_others_are_not_one_hot():
    X, Y = multilabel()
    assert "one-hot targets" not in findings(classifier(), X, Y)
    X, y = iris()
    Y = np.eye(3, dtype=int)[y]
    Y[7] = 0  # a single row without any, or with two, tells
    assert "one-hot targets" not in findings(classifier(), X, Y)
    Y[7] = 1, 1, 0
    assert "one-hot targets" not in findings(classifier(), X, Y)
    assert "one-hot targets" not in findings(classifier(), X, y)
    assert "one-hot targets" not in findings(regressor(), X, Y)


# Validation inputs ------------------------------------------------------------------------------


@seeds
def test_validation_inputs_out_of_range(seed):
    X, y = load_iris(return_X_y=True)
    X, X_val, y, y_val = train_test_split(X, y, random_state=seed, stratify=y)
    scaler = StandardScaler().fit(X)
    clf = classifier(random_state=seed, max_iter=30).fit(scaler.transform(X), y)
    found = findings(clf, scaler.transform(X), y, X_val=X_val, y_val=y_val)
    finding = found["validation inputs out of range"]
    assert finding.severity == "error"
    assert "number 0" in finding.evidence
    scaled = scaler.transform(X_val)
    assert findings(clf, scaler.transform(X), y, X_val=scaled, y_val=y_val) == {}
    # In a small unit raw values are all next to the median of the scaled ones.
    found = findings(clf, scaler.transform(X), y, X_val=1e-3 * X_val, y_val=y_val)
    finding = found["validation inputs out of range"]
    assert "4 of 4 columns of X_val lie elsewhere than in X" in finding.evidence
    assert "narrow heaps" in finding.threshold


@seeds
@pytest.mark.parametrize("early_stopping", [False, True])
def test_validation_inputs_that_a_pipeline_did_not_transform(early_stopping, seed):
    X, y = load_iris(return_X_y=True)
    X, X_val, y, y_val = train_test_split(X, y, random_state=seed, stratify=y)
    mlp = classifier(random_state=seed, max_iter=30, early_stopping=early_stopping)
    pipe = Pipeline([("scale", StandardScaler()), ("mlp", mlp)])
    with pytest.warns(UserWarning, match="X_val is on another scale than X"):
        pipe.fit(X, y, mlp__X_val=X_val, mlp__y_val=y_val)
    found = findings(pipe, X, y, X_val=X_val, y_val=y_val)
    finding = found["validation inputs out of range"]
    assert "without the steps before" in finding.evidence
    assert "transform_input=['X_val']" in finding.remedy
    scaled = StandardScaler().fit(X).transform(X_val)
    pipe.fit(X, y, mlp__X_val=scaled, mlp__y_val=y_val)
    assert "validation inputs out of range" not in findings(pipe, X, y, X_val=X_val, y_val=y_val)


# Pipelines --------------------------------------------------------------------------------------


def test_pipelines():
    X, y = load_wine(return_X_y=True, as_frame=True)
    pipe = make_pipeline(StandardScaler(), classifier(max_iter=30))
    unfitted = diagnose(pipe, X, y, range_test=False)
    assert "trained for this" in unfitted.title
    assert unfitted.findings == []
    assert not hasattr(pipe[0], "mean_")
    pipe.fit(X, y)
    before = state(pipe)
    found = diagnose(pipe, X, y, range_test=False)
    last = diagnose(pipe[-1], pipe[:-1].transform(X), y, range_test=False)
    assert "as fitted" in found.title
    assert found.statistics == last.statistics
    assert state(pipe) == before
    X, y = iris()
    assert diagnose(make_pipeline(classifier(max_iter=30)), X, y, X_val=X, y_val=y).findings == []
    with pytest.raises(TypeError, match="got one of type StandardScaler"):
        diagnose(make_pipeline(StandardScaler()), X, y)


def test_the_healthy_are_left_in_peace_through_pipelines():
    X, y = cancer()
    X, X_val, y, y_val = train_test_split(X, y, random_state=0, stratify=y)
    pipe = make_pipeline(StandardScaler(), ScratchMLPClassifier((16,), random_state=0)).fit(X, y)
    assert findings(pipe, X, y, X_val=X_val, y_val=y_val) == {}
