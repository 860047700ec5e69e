"""An interrupt keeps what was trained; a failure leaves no trace."""

import copy
import math
import pickle
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning

from skscratch import SGD
from skscratch.nn import Tanh

from ..conftest import BOTH, assert_same_weights, classes_for, output, state, weights_of

both = pytest.mark.parametrize(("make", "data"), BOTH)


@dataclass
class InterruptedSGD(SGD):
    """Raises a KeyboardInterrupt in a step; 10 steps make an epoch of 150 rows in batches of 16."""

    at_step: int = 1

    def _move(self, w, g, lr, state, *arrays):
        super()._move(w, g, lr, state, *arrays)
        if state.t == self.at_step:
            raise KeyboardInterrupt


@both
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("epochs_before", [0, 1, 3])
def test_keyboard_interrupt_keeps_what_was_trained(make, data, early_stopping, epochs_before):
    X, y = data()
    steps_per_epoch = 8 if early_stopping else 10
    interrupted = InterruptedSGD(momentum=0.5, at_step=epochs_before * steps_per_epoch + 3)
    estimator = make(
        optimizer=interrupted, early_stopping=early_stopping, max_iter=20, warm_start=True
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)  # the one warning is enough
        with pytest.warns(UserWarning, match=f"interrupted after {epochs_before} epochs") as caught:
            estimator.fit(X, y)
    assert [each.filename for each in caught] == [__file__]
    assert estimator.predict(X).shape == y.shape
    assert np.isfinite(estimator.score(X, y))
    assert len(pd.DataFrame(estimator.history_)) == estimator.n_iter_ == epochs_before
    assert math.isnan(estimator.loss_) == (epochs_before == 0)
    if early_stopping:
        assert len(estimator.validation_scores_) == epochs_before
        assert math.isnan(estimator.best_validation_score_) == (epochs_before == 0)
    # The steps made within the epoch count, unless better weights are restored.
    start = make(optimizer="sgd", learning_rate=1e-12, max_iter=1).fit(X, y)
    assert not np.allclose(weights_of(estimator), weights_of(start), atol=1e-9)
    assert pickle.loads(pickle.dumps(estimator)).predict(X).shape == y.shape
    estimator.set_params(optimizer="sgd", max_iter=2).fit(X, y)
    assert len(estimator.loss_curve_) == epochs_before + 2
    assert not math.isnan(estimator.loss_)


@both
def test_keyboard_interrupt_in_partial_fit(make, data):
    X, y = data()
    estimator = make(optimizer=InterruptedSGD(momentum=0.5, at_step=13))
    estimator.partial_fit(X, y, **classes_for(estimator, y))
    before = weights_of(estimator)
    with pytest.warns(UserWarning, match="interrupted") as caught:
        estimator.partial_fit(X, y)
    assert caught[0].filename == __file__
    assert not np.array_equal(weights_of(estimator), before)
    assert len(estimator.loss_curve_) == 1
    estimator.partial_fit(X, y)
    assert len(estimator.loss_curve_) == 2


@dataclass
class InterruptedTanh(Tanh):
    """Raises a KeyboardInterrupt in the n-th forward pass over all instances."""

    calls = 0
    at_call = 7

    def forward(self, Z, A):
        type(self).calls += 1
        if self.calls == self.at_call:
            raise KeyboardInterrupt
        super().forward(Z, A)


@both
def test_keyboard_interrupt_in_lbfgs(make, data, monkeypatch):
    X, y = data()
    monkeypatch.setattr(InterruptedTanh, "calls", 0)
    estimator = make(optimizer="lbfgs", activation=InterruptedTanh(), max_iter=50, tol=1e-12)
    with pytest.warns(UserWarning, match="interrupted after [1-6] epochs") as caught:
        estimator.fit(X, y)
    assert len(caught) == 1
    assert 1 <= estimator.n_iter_ <= 6
    # The weights are those of the last complete iteration, not of a line search's trial.
    plain = make(optimizer="lbfgs", max_iter=estimator.n_iter_, tol=1e-12).fit(X, y)
    np.testing.assert_allclose(weights_of(estimator), weights_of(plain), rtol=1e-9)


DIVERGING = {"optimizer": "sgd", "activation": "relu", "learning_rate": 1e200, "max_iter": 20}

DIVERGED = r"non-finite in epoch \d+.*learning rate 1e\+200.*Try learning_rate=1e\+199 "


@both
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("batch_size", [16, "full"])
def test_divergence_is_explained_and_leaves_no_trace(make, data, dtype, early_stopping, batch_size):
    X, y = data()
    estimator = make(**DIVERGING, dtype=dtype, early_stopping=early_stopping, batch_size=batch_size)
    before = state(estimator)
    with pytest.raises(ValueError, match=DIVERGED):
        estimator.fit(X, y)
    assert state(estimator) == before
    assert not hasattr(estimator, "network_")
    assert not hasattr(estimator, "n_features_in_")


@both
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("warm_start", [False, True])
def test_divergence_rolls_back_to_the_state_before_the_call(make, data, method, warm_start):
    X, y = data()
    settings = {"optimizer": SGD(momentum=0.9), "activation": "relu", "dropout": 0.2}
    estimator = make(**settings, warm_start=True).fit(X, y)
    untouched = copy.deepcopy(estimator)
    predicted = output(estimator, X)
    estimator.set_params(learning_rate=1e200, warm_start=warm_start)
    before = state(estimator)
    with pytest.raises(ValueError, match=DIVERGED):
        getattr(estimator, method)(X, y)
    assert state(estimator) == before
    np.testing.assert_array_equal(output(estimator, X), predicted)
    # Moments and random streams, too: training goes on as if nothing had happened.
    estimator.set_params(learning_rate=0.01, warm_start=True).fit(X, y)
    assert_same_weights(estimator, untouched.fit(X, y))
    assert estimator.loss_curve_ == untouched.loss_curve_


@both
def test_divergence_tells_the_epoch_over_all_calls(make, data):
    X, y = data()
    estimator = make(activation="relu", optimizer="sgd", max_iter=3, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="in epoch 4"):
        estimator.set_params(learning_rate=1e200).fit(X, y)


@dataclass
class FailingSGD(SGD):
    def _move(self, w, g, lr, state, *arrays):
        if state.t == 25:
            raise RuntimeError("failed in step 25")
        super()._move(w, g, lr, state, *arrays)


@both
def test_any_failure_leaves_no_trace(make, data):
    X, y = data()
    estimator = make(warm_start=True).fit(X, y)
    for optimizer in (FailingSGD(), FailingSGD(momentum=0.9)):
        estimator.set_params(optimizer=optimizer, max_iter=20)
        before = state(estimator)
        with pytest.raises(RuntimeError, match="failed in step 25"):
            estimator.fit(X, y)
        assert state(estimator) == before


@both
def test_a_warning_turned_into_an_error_leaves_no_trace(make, data):
    X, y = data()
    estimator = make(n_iter_no_change=10)
    before = state(estimator)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        with pytest.raises(ConvergenceWarning):
            estimator.fit(X, y)
    assert state(estimator) == before
