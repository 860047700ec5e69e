import math
import warnings

import numpy as np
import pytest
from sklearn.datasets import make_classification, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from skscratch.nn import Adaptive, Architecture, Best, Clock, Network, Patience, Tanh


def epochs_until_spent(values, tol, n_iter_no_change):
    patience = Patience(tol, n_iter_no_change)
    for epoch, value in enumerate(values, start=1):
        patience.update(value)
        if patience.spent:
            return epoch
    return None


@pytest.mark.parametrize("n_iter_no_change", [1, 3, 10])
def test_spent_after_more_than_the_tolerated_number_of_stalled_epochs(n_iter_no_change):
    assert epochs_until_spent([1.0] * 30, 0.1, n_iter_no_change) == n_iter_no_change + 2


def test_an_improvement_starts_the_count_again():
    assert epochs_until_spent([0, 0, 0, 1, 1, 1, 1, 1], 0.1, 2) == 7


@pytest.mark.parametrize(("gain", "stalled"), [(0.24, 1), (0.25, 0), (0.26, 0)])
def test_an_improvement_is_one_of_at_least_tol(gain, stalled):
    patience = Patience(tol=0.25, n_iter_no_change=5)
    patience.update(1.0)
    patience.update(1.0 + gain)
    assert patience.stalled == stalled


@pytest.mark.parametrize("last_of_equals", [False, True])
def test_which_of_equals_is_the_best(last_of_equals):
    patience = Patience(tol=0.0, n_iter_no_change=5, last_of_equals=last_of_equals)
    values = [1.0, 2.0, 1.0, 2.0, math.nan, 2.0, 1.0]
    best = [epoch for epoch, value in enumerate(values) if patience.update(value)]
    assert best[-1] == (5 if last_of_equals else 1)


def test_small_gains_count_for_the_best_but_not_for_patience():
    patience = Patience(tol=0.1, n_iter_no_change=100)
    assert [patience.update(value) for value in (0.0, 0.05, 0.04, 0.09)] == [
        True,
        True,
        False,
        True,
    ]
    assert patience.best == 0.09
    assert patience.stalled == 3


def test_equal_values_are_not_best():
    patience = Patience(tol=0.0, n_iter_no_change=3)
    assert patience.update(1.0)
    assert not patience.update(1.0)


def test_nan_is_never_best_and_always_stalled():
    patience = Patience(tol=0.0, n_iter_no_change=1)
    assert not patience.update(math.nan)
    assert patience.best == -math.inf
    assert patience.update(-5.0)
    assert not patience.update(math.nan)
    assert (patience.best, patience.stalled) == (-5.0, 1)


def test_the_first_epoch_may_be_the_first_that_stalls():
    assert epochs_until_spent([math.nan] * 9, 0.0, 2) == 3


def test_infinite_patience_is_never_spent():
    assert epochs_until_spent([0.0] * 1000, 1.0, math.inf) is None


def test_renewal_forgets_stalled_epochs_but_not_the_best():
    patience = Patience(tol=0.1, n_iter_no_change=1)
    for _ in range(3):
        patience.update(1.0)
    assert patience.spent
    patience.renew()
    assert not patience.spent
    assert patience.best == 1.0
    assert not patience.update(0.5)


@pytest.mark.parametrize("last_of_equals", [False, True])
def test_networks_side_by_side_are_watched_like_each_alone(last_of_equals):
    """Random walks on a coarse grid, so that equal values occur, with NaN among them."""
    rng = np.random.default_rng(0)
    tol, n_iter_no_change = np.array([0.0, 0.5, 1.0, 0.5]), np.array([4, 2, 7, math.inf])
    values = np.cumsum(rng.integers(-1, 2, (60, 4)), axis=0) * 0.5
    values[rng.random((60, 4)) < 0.1] = math.nan
    values[0, 2] = math.nan
    together = Patience(tol, n_iter_no_change, last_of_equals)
    alone = [
        Patience(own_tol, own, last_of_equals)
        for own_tol, own in zip(tol, n_iter_no_change, strict=True)
    ]
    for epoch, row in enumerate(values):
        is_best = together.update(row)
        assert [p.update(value) for p, value in zip(alone, row, strict=True)] == is_best.tolist()
        assert [p.best for p in alone] == together.best.tolist()
        assert [p.spent for p in alone] == together.spent.tolist()
        if epoch == 30:  # of some patience is renewed
            together.renew(np.array([True, False, True, True]))
            for k in (0, 2, 3):
                alone[k].renew()
    assert together.spent.tolist() == [p.spent for p in alone]
    assert together.spent.any()
    assert not together.spent.all()


def test_nothing_is_the_best_once_patience_is_spent():
    patience = Patience(0.0, np.array([0, 9]))
    for values in ([1.0, 1.0], [0.5, 0.5], [7.0, 7.0]):
        is_best = patience.update(np.array(values))
    assert is_best.tolist() == [False, True]
    assert patience.best.tolist() == [1.0, 7.0]
    patience.renew(np.array([True, False]))
    assert patience.update(np.array([8.0, 6.0])).tolist() == [True, False]


def test_one_patience_for_all_takes_a_number_or_an_array():
    patience = Patience(0.1, 1)
    patience.update(np.array([1.0, 2.0]))
    patience.update(np.array([1.0, 3.0]))
    patience.update(np.array([1.0, 4.0]))
    assert patience.spent.tolist() == [True, False]
    assert isinstance(Patience(0.1, 1).spent, bool | np.bool_)


def fit(model, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y)


@pytest.mark.parametrize("n_iter_no_change", [1, 2, 5])
@pytest.mark.parametrize("tol", [1e-2, 1e-3, 1e-4])
def test_stops_in_the_epoch_in_which_scikit_learn_stops_on_the_training_loss(tol, n_iter_no_change):
    X, y = make_classification(80, 5, random_state=0)
    model = MLPClassifier(
        (8,), max_iter=300, tol=tol, n_iter_no_change=n_iter_no_change,
        learning_rate_init=0.02, batch_size=16, random_state=0,
    )  # fmt: skip
    fit(model, X, y)
    assert model.n_iter_ < 300
    losses = -np.array(model.loss_curve_)
    assert epochs_until_spent(losses, tol, n_iter_no_change) == model.n_iter_


@pytest.mark.parametrize("n_iter_no_change", [1, 4])
@pytest.mark.parametrize("model_type", [MLPClassifier, MLPRegressor])
def test_stops_in_the_epoch_in_which_scikit_learn_stops_on_the_score(model_type, n_iter_no_change):
    if model_type is MLPClassifier:
        X, y = make_classification(120, 5, flip_y=0.3, random_state=1)
    else:
        X, y = make_regression(120, 5, noise=50, random_state=1)
        y = y / y.std()
    model = model_type(
        hidden_layer_sizes=(8,), max_iter=300, tol=1e-3, n_iter_no_change=n_iter_no_change,
        early_stopping=True, learning_rate_init=0.02, batch_size=16, random_state=0,
    )  # fmt: skip
    fit(model, X, y)
    assert model.n_iter_ < 300
    scores = model.validation_scores_
    assert epochs_until_spent(scores, 1e-3, n_iter_no_change) == model.n_iter_


def test_adaptive_rate_and_stop_follow_scikit_learn():
    X, y = make_classification(80, 5, random_state=2)
    model = MLPClassifier(
        (8,), solver="sgd", learning_rate="adaptive", learning_rate_init=0.5, max_iter=400,
        tol=1e-3, n_iter_no_change=2, batch_size=16, random_state=0,
    )  # fmt: skip
    fit(model, X, y)
    assert model.n_iter_ < 400
    patience, schedule, clock, stops = Patience(1e-3, 2), Adaptive(), Clock(), []
    for epoch, loss in enumerate(model.loss_curve_, start=1):
        patience.update(-loss)
        if patience.spent:
            stops.append(epoch)
            if not schedule.continues_after_plateau(0.5, clock):
                break
            clock.plateaus += 1
            patience.renew()
    assert stops[-1] == model.n_iter_
    assert len(stops) == 10  # 0.5 / 5^9 is the first rate at most 1e-6, and stalls once more


# --- The best epoch ---------------------------------------------------------------------------


def fill(networks, value):
    """Fill all numbers of some networks: with one value, or one for each of a stack."""
    for network in networks:
        for vector in network.vectors:
            vector[...] = np.asarray(value)[..., np.newaxis]


def networks_like(*stacks):
    return [
        Network(Architecture([3, 2, 1], [Tanh()], normalization="batch"), stack) for stack in stacks
    ]


@pytest.mark.parametrize("stacks", [[()], [(), ()], [(2,), (3,)]])
def test_the_best_networks_come_back_with_all_their_numbers(stacks):
    networks, best = networks_like(*stacks), Best()
    assert best.epoch == 0
    for epoch, is_best in enumerate([True, False, True, False], start=1):
        fill(networks, epoch)
        best.keep(networks, epoch, is_best)
    vectors = [vector for network in networks for vector in network.vectors]
    best.restore(networks)
    assert best.epoch == 3
    for network in networks:
        for vector in network.vectors:
            np.testing.assert_array_equal(vector, 3)
    assert all(
        now is before
        for now, before in zip(
            (vector for network in networks for vector in network.vectors), vectors, strict=True
        )
    )
    fill(networks, 9)
    best.restore(networks)  # they were forgotten
    assert networks[0].parameters.vector.min() == 9


@pytest.mark.parametrize("stack", [(3,), (1, 3)])
def test_each_network_of_a_stack_has_a_best_epoch(stack):
    (network,), best = networks_like(stack), Best()
    script = [[0, 1, 0], [0, 0, 0], [1, 1, 0], [0, 0, 0]]
    for epoch, which in enumerate(script, start=1):
        fill([network], np.full(stack, epoch))
        best.keep([network], epoch, np.array(which, bool).reshape(stack))
    best.restore([network])
    assert best.epoch.ravel().tolist() == [3, 3, 0]
    for vector in network.vectors:
        # The third had no best epoch: it stays as it is.
        np.testing.assert_array_equal(vector[..., 0].ravel(), [3, 3, 4])


def test_what_is_kept_is_a_copy():
    (network,), best = networks_like(()), Best()
    fill([network], 1)
    best.keep([network], 1, True)
    fill([network], 2)
    best.restore([network])
    assert network.parameters.vector.max() == 1
