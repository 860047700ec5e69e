import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skscratch import LBFGS, SGD, Adam, learning_rate_range_test
from skscratch._range_test import RangeTest, _smooth, _suggest
from skscratch.nn import SCHEDULES, Schedule, SquaredError

from ..conftest import BOTH, classifier, diabetes, iris, multilabel, regressor, state

both = pytest.mark.parametrize(("make", "data"), BOTH)


@pytest.fixture
def plt():
    """Matplotlib's pyplot, without a screen."""
    mpl = pytest.importorskip("matplotlib")
    with mpl.rc_context({"backend": "agg"}):
        from matplotlib import pyplot

        yield pyplot
        pyplot.close("all")


def digits():
    X, y = load_digits(return_X_y=True)
    return X / 16, y


def assert_same_curve(result, other):
    np.testing.assert_array_equal(result.learning_rates, other.learning_rates)
    np.testing.assert_array_equal(result.losses, other.losses)
    np.testing.assert_array_equal(result.smoothed_losses, other.smoothed_losses)
    assert result.suggestion == other.suggestion


# What it is for -------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "rmsprop"])
@pytest.mark.parametrize(("make", "data"), [(classifier, digits), (regressor, diabetes)])
def test_suggestion_trains_better_than_a_hundredth_of_it_and_than_the_last_rate(
    make, data, optimizer
):
    X, y = data()
    estimator = make(hidden_layer_sizes=(32,), activation="relu", optimizer=optimizer)
    result = learning_rate_range_test(estimator, X, y)
    losses = []
    for rate in (0.01 * result.suggestion, result.suggestion, result.learning_rates[-1]):
        try:
            trained = clone(estimator).set_params(learning_rate=rate).fit(X, y)
            losses.append(trained.loss_)
        except ValueError:  # it diverged
            losses.append(np.inf)
    assert losses[1] < 0.9 * losses[0]
    assert losses[1] < 0.9 * losses[2]


@both
def test_curve_is_flat_then_falls_then_explodes(make, data):
    X, y = data()
    result = learning_rate_range_test(make(optimizer="sgd", activation="relu"), X, y, high=1e4)
    lowest = result.smoothed_losses.argmin()
    assert result.learning_rates[0] < result.suggestion < result.learning_rates[lowest]
    assert result.learning_rates[-1] < 1e4  # it ended before
    assert result.losses[-1] > 2 * result.losses[:10].mean()
    assert np.isfinite(result.losses).all()


# The curve ------------------------------------------------------------------------------------


class Rising(Schedule):
    """The rates of the test, as a schedule that any fit may have."""

    per_step = True

    def __init__(self, rates=()):
        self.rates = rates

    def rate(self, base, clock):
        return self.rates[clock.step]

    def validate(self):
        pass

    def get_params(self, deep=True):
        return {"rates": self.rates}


@both
@pytest.mark.parametrize("params", [{}, {"normalization": "batch", "dropout": 0.3, "clip_norm": 1}])
@pytest.mark.parametrize("weighted", [False, True])
def test_steps_are_those_of_fit_with_a_rising_rate(make, data, params, weighted):
    """Loss by loss: over an epoch, their mean over the rows is what fit puts into history_."""
    X, y = data()
    weights = np.random.default_rng(0).uniform(0, 2, 150) if weighted else None
    result = learning_rate_range_test(
        make(batch_size=40, **params), X, y, sample_weight=weights, high=0.1, n_steps=20
    )
    assert len(result.losses) == 20
    rates = np.geomspace(1e-6, 0.1, 20)
    np.testing.assert_allclose(result.learning_rates, rates, rtol=1e-12)
    trained = make(batch_size=40, lr_schedule=Rising(tuple(rates)), max_iter=5, **params)
    trained.fit(X, y, sample_weight=weights)
    means = result.losses.reshape(5, 4) @ [40, 40, 40, 30] / 150
    np.testing.assert_allclose(trained.history_["loss"], means, rtol=1e-9)


@pytest.mark.parametrize("n_steps", [20, 100, 357])
@pytest.mark.parametrize(("low", "high"), [(1e-6, 1e-2), (1e-3, 5e-3)])
def test_rates_rise_from_low_to_high_by_a_factor(low, high, n_steps):
    result = learning_rate_range_test(classifier(), *iris(), low=low, high=high, n_steps=n_steps)
    rates = result.learning_rates
    assert rates.shape == result.losses.shape == result.smoothed_losses.shape == (n_steps,)
    np.testing.assert_allclose(rates[[0, -1]], [low, high], rtol=1e-12)
    np.testing.assert_allclose(rates[1:] / rates[:-1], rates[1] / rates[0], rtol=1e-9)


def test_a_loss_that_becomes_infinite_ends_the_test_and_is_left_out():
    X, y = diabetes()
    result = learning_rate_range_test(
        regressor(optimizer="sgd", activation="relu"), 1e3 * X, y, low=1e6, high=1e30
    )
    assert 1 <= len(result.losses) < 20
    assert np.isfinite(result.losses).all()


def test_smoothing_weighs_by_the_distance_in_steps():
    losses = np.random.default_rng(0).standard_normal(30)
    expected = []
    for i in range(30):
        weights = [0.8 ** abs(i - j) for j in range(30)]
        expected.append(np.average(losses, weights=weights))
    np.testing.assert_allclose(_smooth(losses, 0.8), expected, rtol=1e-12)
    np.testing.assert_allclose(_smooth(np.full(7, 3.0), 0.5), 3.0, rtol=1e-14)
    assert _smooth(np.array([2.5]), 0.8) == 2.5


def test_suggestion_is_where_the_curve_falls_most_steeply_before_its_minimum():
    rates = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0]
    # The steepest fall of all comes after the minimum, out of an explosion.
    smoothed = np.array([9.0, 8.5, 7.0, 4.0, 3.0, 2.9, 50.0, 5.0])
    assert _suggest(rates, smoothed) == 4.0  # (4 - 8.5) / 2 is the least difference
    assert _suggest(rates, np.array([3.0, 2.0])) == 1.0
    assert _suggest(rates, np.array([3.0])) is None
    assert _suggest(rates, np.array([1.0, 2.0, 3.0])) is None


def test_no_suggestion_where_the_loss_never_falls(plt):
    X, y = diabetes()
    estimator = regressor(optimizer="sgd", activation="relu", batch_size="full")
    result = learning_rate_range_test(estimator, X, y, low=1e3, high=1e4)
    assert result.suggestion is None
    assert "suggestion=None" in repr(result)
    assert not [line for line in result.plot().lines if line.get_linestyle() == "--"]


class Lowered(SquaredError):
    """The squared error less 5, so that it is negative all the way and falls below -5."""

    def value_and_gradient(self, Z, Y, weights, gradient_out):
        return super().value_and_gradient(Z, Y, weights, gradient_out) - 5


def test_a_negative_loss_is_not_taken_for_an_explosion():
    X, y = diabetes()
    lowered, plain = (
        learning_rate_range_test(regressor(loss=loss, batch_size=40), X, y, high=0.1)
        for loss in (Lowered(), "squared_error")
    )
    assert lowered.losses.max() < 0
    np.testing.assert_allclose(lowered.losses + 5, plain.losses, rtol=1e-9)
    assert len(lowered.losses) == 100


# Nothing else changes -------------------------------------------------------------------------


@both
@pytest.mark.parametrize("fitted", [False, True])
def test_the_estimator_and_the_data_are_left_alone(make, data, fitted):
    X, y = data()
    weights = np.ones(len(y))
    optimizer = Adam()
    estimator = make(optimizer=optimizer, warm_start=True, lr_schedule="cosine", verbose=True)
    if fitted:
        estimator.fit(X, y)
    before, data_before = state(estimator), (X.copy(), y.copy(), weights.copy())
    for array in (X, y, weights):
        array.setflags(write=False)
    learning_rate_range_test(estimator, X, y, sample_weight=weights)
    assert state(estimator) == before
    assert hasattr(estimator, "network_") == fitted
    assert estimator.optimizer is optimizer
    for array, kept in zip((X, y, weights), data_before, strict=True):
        np.testing.assert_array_equal(array, kept)


@both
def test_it_starts_anew_whatever_the_estimator_has_learned_and_shows_nothing(
    make, data, monkeypatch
):
    X, y = data()
    expected = learning_rate_range_test(make(), X, y)
    settings = {"warm_start": True, "verbose": 1, "early_stopping": True}
    trained = make(**settings).fit(X, y)
    monkeypatch.setattr("skscratch.callbacks._watcher.Progress", None)
    assert_same_curve(learning_rate_range_test(trained, X, y), expected)


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_schedule_and_the_rate_of_the_estimator_make_no_difference(name):
    expected = learning_rate_range_test(classifier(), *iris())
    other = classifier(lr_schedule=name, learning_rate=123.0, max_iter=1)
    assert_same_curve(learning_rate_range_test(other, *iris()), expected)


@both
def test_random_state_decides(make, data):
    X, y = data()
    results = [learning_rate_range_test(make(random_state=s), X, y) for s in (0, 0, 1)]
    assert_same_curve(results[0], results[1])
    assert not np.array_equal(results[0].losses[:20], results[2].losses[:20])


def test_a_random_state_object_is_not_drawn_from():
    rng = np.random.RandomState(0)
    before = rng.get_state()[1].copy()
    learning_rate_range_test(classifier(random_state=rng), *iris())
    np.testing.assert_array_equal(rng.get_state()[1], before)


class Noting:
    """A callback that notes that it was called."""

    def __init__(self):
        self.calls = 0

    def setup(self, *args, **kwargs):
        self.calls += 1

    teardown = on_fit_task_begin = on_fit_task_end = setup


def test_callbacks_are_neither_called_nor_removed():
    callback = Noting()
    estimator = classifier().set_callbacks(callback)
    learning_rate_range_test(estimator, *iris())
    assert callback.calls == 0
    estimator.fit(*iris())
    assert callback.calls > 0


# Inputs ---------------------------------------------------------------------------------------


@both
def test_integer_weights_equal_repeated_rows_in_full_batches(make, data):
    X, y = data()
    counts = np.random.default_rng(0).integers(0, 4, len(y))
    rows = np.repeat(np.arange(len(y)), counts)
    estimator = make(batch_size="full")
    weighted = learning_rate_range_test(estimator, X, y, sample_weight=counts, high=0.1)
    repeated = learning_rate_range_test(estimator, X[rows], y[rows], high=0.1)
    np.testing.assert_allclose(weighted.losses, repeated.losses, rtol=1e-7)
    plain = learning_rate_range_test(estimator, X, y, high=0.1)
    assert not np.allclose(weighted.losses, plain.losses, rtol=1e-3)


def test_sparse_input_labels_and_several_outputs():
    X, Y = multilabel()
    dense = learning_rate_range_test(classifier(), X, Y)
    sparse = learning_rate_range_test(classifier(), scipy.sparse.csr_array(X), Y)
    np.testing.assert_allclose(sparse.losses, dense.losses, rtol=1e-6)
    X, y = diabetes()
    result = learning_rate_range_test(regressor(), X, np.column_stack([y, -y]))
    assert result.suggestion > 1e-5


def test_a_last_batch_of_one_row_fits_into_the_workspace():
    X, y = iris()
    estimator = classifier(normalization="batch", batch_size=149)
    assert len(learning_rate_range_test(estimator, X, y, high=0.1).losses) == 100


# (arguments, error, what the message has to match)
BAD = [
    ({"low": 0}, ValueError, r"low must be a number in \(0, inf\), got 0"),
    ({"low": "1e-6"}, TypeError, "low must be a number"),
    ({"high": float("inf")}, ValueError, r"high must be a number in \(0, inf\), got inf"),
    ({"low": 0.1, "high": 0.01}, ValueError, "low must be less than high.*low=0.1 and high=0.01"),
    ({"low": 0.1, "high": 0.1}, ValueError, "low must be less than high"),
    ({"n_steps": 19}, ValueError, "n_steps must be an integer >= 20, got 19"),
    ({"n_steps": 50.0}, TypeError, "n_steps must be an integer >= 20, got 50.0"),
    ({"sample_weight": -np.ones(150)}, ValueError, "sample_weight must not be negative"),
    ({"X": np.zeros((3, 4))}, ValueError, "inconsistent numbers of samples"),
    ({"estimator": classifier(optimizer="lbfgs")}, ValueError, "'lbfgs' has no learning rate"),
    ({"estimator": classifier(optimizer=LBFGS())}, ValueError, "'lbfgs' has no learning rate"),
    ({"estimator": classifier(optimizer=SGD(2))}, ValueError, r"SGD\(momentum"),
    ({"estimator": StandardScaler()}, TypeError, "ScratchMLPClassifier.*type StandardScaler"),
    ({"estimator": make_pipeline(classifier())}, TypeError, "type Pipeline.*pass its last step"),
]


@pytest.mark.parametrize(("arguments", "error", "pattern"), BAD, ids=lambda case: str(case)[:40])
def test_bad_arguments(arguments, error, pattern):
    X, y = iris()
    arguments = {"estimator": classifier(), "X": X, "y": y, **arguments}
    with pytest.raises(error, match=pattern):
        learning_rate_range_test(**arguments)


def test_a_loss_that_is_infinite_from_the_start_is_an_error_that_says_what_to_do():
    X, y = diabetes()
    estimator = regressor(standardize_target=False)
    with pytest.raises(
        ValueError, match=r"not finite before the first step.*standardize_target=True"
    ):
        learning_rate_range_test(estimator, X, 1e200 * y)


# The result -----------------------------------------------------------------------------------


def test_repr_tells_the_suggestion_and_the_range():
    rates = np.geomspace(1e-6, 0.5, 30)
    result = RangeTest(rates, np.ones(30), np.ones(30), 0.01234)
    assert repr(result) == (
        "RangeTest(suggestion=0.012, 30 steps at learning rates from 1e-06 to 0.5)"
    )


def test_plot_draws_both_curves_and_the_suggestion_on_a_logarithmic_axis(plt):
    result = learning_rate_range_test(classifier(), *iris())
    _, given = plt.subplots()
    ax = result.plot(given)
    assert ax is given
    assert ax.get_xscale() == "log"
    points, curve, mark = ax.lines
    np.testing.assert_array_equal(points.get_xydata().T, [result.learning_rates, result.losses])
    np.testing.assert_array_equal(curve.get_ydata(), result.smoothed_losses)
    np.testing.assert_array_equal(mark.get_xdata(), [result.suggestion] * 2)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels[-1] == f"suggestion: {result.suggestion:.2g}"
    assert ax.get_xlabel() == "learning rate"


def test_plot_without_axes_makes_a_figure_and_shows_the_fall_not_the_explosion(plt):
    X, y = diabetes()
    result = learning_rate_range_test(regressor(optimizer="sgd", activation="relu"), X, y)
    assert plt.get_fignums() == []
    ax = result.plot()
    assert plt.get_fignums() == [ax.figure.number]
    bottom, top = ax.get_ylim()
    assert bottom < result.losses.min()
    before_the_minimum = result.losses[: result.smoothed_losses.argmin()]
    assert before_the_minimum.max() < top < result.losses.max()


def test_one_sweep_whatever_fit_would_do_besides():
    X, y = iris()
    plain = learning_rate_range_test(classifier(), X, y, n_steps=20)
    more = classifier(calibrate=True, n_networks=3, early_stopping=True)
    result = learning_rate_range_test(more, X, y, n_steps=20)
    np.testing.assert_array_equal(result.losses, plain.losses)
