import inspect
import sys
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skscratch import from_sklearn
from skscratch.callbacks import Callback
from skscratch.inspection import (
    ActivationDisplay,
    GradientFlowDisplay,
    LayerMonitor,
    NetworkDisplay,
    TrainingCurveDisplay,
    WeightDisplay,
)

from ..conftest import BOTH, cancer, classifier, diabetes, iris, multilabel, regressor, state

DISPLAYS = {
    "training curve": lambda est, X, **k: TrainingCurveDisplay.from_estimator(est, **k),
    "gradient flow": lambda est, X, **k: GradientFlowDisplay.from_estimator(est, **k),
    "activation": ActivationDisplay.from_estimator,
    "weight": lambda est, X, **k: WeightDisplay.from_estimator(est, **k),
    "images": lambda est, X, **k: images(est, **k),
    "network": lambda est, X, **k: NetworkDisplay.from_estimator(est, **k),
}


def images(est, **arguments):
    shape = (1, len(est.coefs_[0])) if hasattr(est, "network_") else None
    return WeightDisplay.from_estimator(
        est, kind="images", image_shape=shape, n_units=3, **arguments
    )


each_display = pytest.mark.parametrize("display", DISPLAYS.values(), ids=DISPLAYS)


def named_iris():
    X, y = iris()
    return pd.DataFrame(X, columns=["a", "b", "c", "d"]), np.array(["x", "y", "z"])[y]


def two_targets():
    X, y = diabetes()
    return X, np.column_stack([y, -y])


def sparse_iris():
    X, y = iris()
    return sparse.csr_matrix(X), y


KINDS = {
    "names": (classifier, named_iris, {"hidden_layer_sizes": (5, 3), "feature_scaling": "robust"}),
    "binary": (classifier, cancer, {"normalization": "batch", "dtype": "float32"}),
    "multilabel": (classifier, multilabel, {"dropout": 0.2, "feature_scaling": "learned"}),
    "sparse": (classifier, sparse_iris, {"activation": "relu", "feature_scaling": "robust"}),
    "regressor": (regressor, diabetes, {"early_stopping": True, "normalization": "layer"}),
    "several": (regressor, two_targets, {"hidden_layer_sizes": (20,)}),
    "deep": (classifier, iris, {"hidden_layer_sizes": (3,) * 10, "activation": "logistic"}),
    "embedding": (classifier, named_iris, {"numerical_embedding": "periodic"}),
    "one epoch": (classifier, iris, {"max_iter": 1}),
}


@pytest.fixture(autouse=True)
def plt():
    """Pyplot, drawing on nothing; figures are closed afterwards."""
    mpl = pytest.importorskip("matplotlib")
    with mpl.rc_context({"figure.max_open_warning": 0}):
        mpl.use("agg")
        from matplotlib import pyplot

        pyplot.close("all")
        yield pyplot
        pyplot.close("all")


@cache
def fitted(kind):
    make, data, settings = KINDS[kind]
    X, y = data()
    return make(**settings).set_callbacks(LayerMonitor()).fit(X, y), X


def texts(ax):
    return [text.get_text() for text in ax.texts]


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines()}


# What all displays have in common ---------------------------------------------------------------


@each_display
@pytest.mark.parametrize("kind", KINDS)
def test_contract(display, kind, plt):
    est, X = fitted(kind)
    before = state(est)
    shown = display(est, X)
    assert state(est) == before
    assert isinstance(shown.ax_, plt.Axes)
    assert shown.ax_.figure is shown.figure_
    assert plt.get_fignums() == [shown.figure_.number]
    if kind in ("names", "deep"):  # which takes half a second
        shown.figure_.canvas.draw()
    panels = getattr(shown, "axes_", [shown.ax_])
    assert panels[0] is shown.ax_
    with_ticks = [ax for ax in panels if ax.axison and len(ax.get_yticks())]
    assert all(ax.get_ylabel() for ax in with_ticks)
    # All that a display knows is data: with the same data another one draws the same.
    names = inspect.signature(type(shown).__init__).parameters.keys() - {"self"}
    data = {name: getattr(shown, name) for name in names}
    assert not any(isinstance(value, BaseEstimator) for value in data.values())
    again = type(shown)(**data)
    assert not hasattr(again, "figure_")
    assert again.plot() is again
    assert again.figure_ is not shown.figure_


@each_display
def test_given_axes_are_used(display, plt):
    est, X = fitted("names")
    figure, (left, right) = plt.subplots(1, 2)
    shown = display(est, X, ax=left)
    assert shown.figure_ is figure
    assert len(plt.get_fignums()) == 1
    panels = getattr(shown, "axes_", [shown.ax_])
    for panel in panels:
        assert panel.get_position().x1 < right.get_position().x0
    if len(panels) > 1:
        n_panels = 4 if display is DISPLAYS["images"] else len(panels)  # a square of them
        figure, axes = plt.subplots(1, n_panels)
        assert list(display(est, X, ax=axes).axes_) == list(axes[: len(panels)])
        with pytest.raises(ValueError, match=f"ax has 1 axes, but there are {n_panels} panels"):
            display(est, X, ax=axes[:1])
        with pytest.raises(ValueError, match="not part of a grid"):
            display(est, X, ax=plt.figure().add_axes((0, 0, 1, 1)))
    else:
        assert shown.ax_ is left


@each_display
def test_estimators_that_do_not_fit_in(display):
    X, y = iris()
    with pytest.raises(NotFittedError):
        display(classifier().set_callbacks(LayerMonitor()), X)
    if display is DISPLAYS["network"]:  # which takes a pipeline
        return
    pipeline = make_pipeline(StandardScaler(), classifier()).fit(X, y)
    with pytest.raises(TypeError, match=r"Of a pipeline pass the last step, pipeline\[-1\]"):
        display(pipeline, X)


@each_display
def test_matplotlib_is_imported_on_use(display, monkeypatch):
    est, X = fitted("names")
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'pip install "skscratch\[plots\]"'):
        display(est, X)


@pytest.mark.parametrize("name", [name for name in DISPLAYS if name != "gradient flow"])
def test_estimators_that_come_from_scikit_learn(name):
    X, y = iris()
    display = DISPLAYS[name]
    for settings in ({}, {"early_stopping": True}, {"solver": "lbfgs"}):
        display(from_sklearn(MLPClassifier((4,), random_state=0, **settings).fit(X, y)), X)


# Training curves --------------------------------------------------------------------------------


class Weights(Callback):
    """Keeps a copy of each epoch's weights."""

    def __init__(self):
        self.epochs = []

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.task_name == "epoch":
            self.epochs.append(fitted_estimator.coefs_[0].copy())


@pytest.mark.parametrize(("make", "data"), BOTH)
@pytest.mark.parametrize("params", [{"early_stopping": True}, {"n_networks": 2}], ids=str)
def test_the_epoch_marked_is_the_one_whose_weights_were_kept(make, data, params):
    X, y = data()
    settings = {"learning_rate": 0.05, "lr_schedule": "cosine", "max_iter": 40}
    settings |= {"n_iter_no_change": 5, **params}
    for warm_start in (False, True):
        weights = Weights()
        est = make(**settings, warm_start=warm_start).set_callbacks(weights)
        for _ in range(1 + warm_start):
            est.fit(X, y, X_val=X[::3], y_val=y[::3])
        display = TrainingCurveDisplay.from_estimator(est)
        epoch = display.restored_epochs[""]
        kept = [
            k for k, W in enumerate(weights.epochs, start=1) if np.array_equal(W, est.coefs_[0])
        ]
        assert epoch in kept
        (mark,) = [line for line in display.axes_[1].get_lines() if line.get_marker() == "o"]
        assert mark.get_xdata() == [epoch]
        assert mark.get_ydata() == [est.best_validation_score_]


def test_no_epoch_is_marked_where_none_was_restored():
    X, y = iris()
    series = classifier(early_stopping=True)
    for _ in range(3):
        series.partial_fit(X, y, classes=[0, 1, 2], X_val=X, y_val=y)
    monitored = classifier().fit(X, y, X_val=X, y_val=y)
    for est in (classifier().fit(X, y), monitored, series):
        display = TrainingCurveDisplay.from_estimator(est)
        assert display.restored_epochs == {"": None}
        assert not any(line.get_marker() == "o" for line in display.ax_.get_lines())


def test_a_series_of_partial_fit_is_marked_once_its_patience_is_spent():
    X, y = iris()
    clf, weights = classifier(early_stopping=True, n_iter_no_change=2, learning_rate=0.1), Weights()
    clf.set_callbacks(weights)
    while not clf.__sklearn_is_fitted__() or clf._fitted.progress.ended != "stalled":
        clf.partial_fit(X, y, classes=[0, 1, 2], X_val=X[::2], y_val=y[::2])
    (epoch,) = TrainingCurveDisplay.from_estimator(clf).restored_epochs.values()
    np.testing.assert_array_equal(weights.epochs[epoch - 1], clf.coefs_[0])


@pytest.mark.parametrize(("MLP", "data"), [(MLPClassifier, iris), (MLPRegressor, diabetes)])
def test_scikit_learns_mlp_too(MLP, data):
    X, y = data()
    settings = {"early_stopping": True, "random_state": 0, "n_iter_no_change": 3, "tol": 0.1}
    mlp = MLP(hidden_layer_sizes=(4,), **settings).fit(X, y)
    display = TrainingCurveDisplay.from_estimator(mlp)
    loss, score = display.axes_
    np.testing.assert_array_equal(loss.get_lines()[0].get_ydata(), mlp.loss_curve_)
    np.testing.assert_array_equal(score.get_lines()[0].get_ydata(), mlp.validation_scores_)
    epoch = display.restored_epochs[""]
    assert mlp.validation_scores_[epoch - 1] == mlp.best_validation_score_
    # A run of so many epochs makes the same weights.
    mlp.set_params(max_iter=epoch)
    for expected, W in zip([W.copy() for W in mlp.coefs_], mlp.fit(X, y).coefs_, strict=True):
        np.testing.assert_array_equal(W, expected)
    assert TrainingCurveDisplay.from_estimator(MLP(max_iter=2).fit(X, y)).restored_epochs == {
        "": None
    }
    with pytest.raises(ValueError, match="solver='lbfgs'"):
        TrainingCurveDisplay.from_estimator(MLP(solver="lbfgs", max_iter=2).fit(X, y))
    with pytest.raises(NotFittedError):
        TrainingCurveDisplay.from_estimator(MLP())


def test_several_estimators_differ_in_color_and_roles_in_dash():
    X, y = iris()
    estimators = {
        "first": classifier(early_stopping=True).fit(X, y),
        "second": classifier(early_stopping=True, learning_rate=0.1).fit(X, y),
        "theirs": MLPClassifier((4,), random_state=0).fit(X, y),
    }
    display = TrainingCurveDisplay.from_estimator(estimators)
    curves = [line for line in display.ax_.get_lines() if line.get_marker() != "o"]
    colors = [line.get_color() for line in curves]
    assert [line.get_linestyle() for line in curves] == ["-", "--", "-", "--", "-"]
    assert colors[0] == colors[1] != colors[2] == colors[3] != colors[4] != colors[0]
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == [*estimators, "training", "validation", "best epoch"]


def test_panels_and_scales():
    X, y = iris()
    clf = classifier().fit(X, y, X_val=X, y_val=y)
    display = TrainingCurveDisplay.from_estimator(clf, log_scale=True)
    assert [ax.get_yscale() for ax in display.axes_] == ["log", "linear", "log"]
    assert display.axes_[1].get_ylabel() == "validation score"
    display.plot(panels=["gradient_norm", "seconds"])
    assert [ax.get_ylabel() for ax in display.axes_] == [
        "norm of the gradient",
        "seconds per epoch",
    ]
    assert len(display.plot(panels="loss").axes_) == 1
    negative = TrainingCurveDisplay({"": {"epoch": [1, 2], "loss": [1.0, -1.0]}})
    assert negative.plot(log_scale=True).ax_.get_yscale() == "linear"
    with pytest.raises(ValueError, match=r"panels must be some of loss, .*, got \['accuracy'\]"):
        display.plot(panels=["accuracy"])
    with pytest.raises(ValueError, match="nothing to draw for score; there is something for loss"):
        TrainingCurveDisplay.from_estimator(classifier().fit(X, y), panels=["score"])


# Gradient flow ----------------------------------------------------------------------------------


def test_gradient_flow_shows_the_record_and_the_bands():
    est, _ = fitted("names")
    (monitor,) = est._skl_callbacks
    display = GradientFlowDisplay.from_estimator(est)
    table = pd.DataFrame(monitor.record).pivot(index="epoch", columns="layer")
    for ax, column in zip(
        display.axes_, ["mean_gradient", "max_gradient", "update_ratio"], strict=True
    ):
        assert ax.get_yscale() == "log"
        for layer in (1, 2, 3):
            line = lines(ax)[f"layer {layer}"]
            np.testing.assert_array_equal(line.get_xdata(), table.index)
            np.testing.assert_array_equal(line.get_ydata(), table[column, layer])
    mean, largest, _ = display.axes_
    assert texts(mean) == ["vanishing"]
    assert mean.texts[0].get_position()[1] == 1e-7
    assert mean.get_ylim()[0] < 1e-7
    assert texts(largest) == ["exploding"]
    assert largest.texts[0].get_position()[1] == 1e3
    assert largest.get_ylim()[1] > 1e3


def test_gradient_flow_of_gradients_that_are_0():
    X, y = iris()
    clf = classifier(activation="relu", init="normal", max_iter=2)
    clf.set_callbacks(LayerMonitor()).fit(X, y)
    record = clf._skl_callbacks[0].record
    record["mean_gradient"] = [0.0] * 4
    display = GradientFlowDisplay(record).plot()
    display.figure_.canvas.draw()


def test_gradient_flow_panels():
    est, _ = fitted("deep")
    display = GradientFlowDisplay.from_estimator(est, panels=["dead_share", "saturated_share"])
    assert len(lines(display.ax_)) == 10  # the last of the eleven layers has no activation
    assert "layer" in [ax.get_ylabel() for ax in display.figure_.axes]  # the color bar
    with pytest.raises(ValueError, match=r"panels must be some of .*, got \['loss'\]"):
        display.plot(panels=["loss"])
    with pytest.raises(ValueError, match="no epoch was recorded"):
        GradientFlowDisplay(LayerMonitor().record).plot()


def test_gradient_flow_without_a_record_of_the_estimator():
    X, y = iris()
    with pytest.raises(ValueError, match="has no LayerMonitor among its callbacks"):
        GradientFlowDisplay.from_estimator(classifier().fit(X, y))
    monitor = LayerMonitor()
    first = classifier().set_callbacks(monitor).fit(X, y)
    classifier().set_callbacks(monitor).fit(X, y)
    with pytest.raises(ValueError, match="the record of another fit, or none"):
        GradientFlowDisplay.from_estimator(first)


# Activations ------------------------------------------------------------------------------------


def test_activations_are_scikit_learns():
    X, y = iris()
    mlp = MLPClassifier((4, 3), activation="tanh", random_state=0).fit(X, y)
    display = ActivationDisplay.from_estimator(from_sklearn(mlp), X)
    A = X
    for k in range(2):
        Z = A @ mlp.coefs_[k] + mlp.intercepts_[k]
        A = np.tanh(Z)
        np.testing.assert_allclose(display.pre_activations[k], Z)
        np.testing.assert_allclose(display.activations[k], A)


def test_normalization_belongs_to_the_pre_activation():
    X, y = iris()
    clf = classifier(normalization="layer").fit(X, y)
    display = ActivationDisplay.from_estimator(clf, X)
    np.testing.assert_allclose(display.activations[0], np.tanh(display.pre_activations[0]))


@pytest.mark.parametrize(
    ("activation", "biases", "dead", "saturated"),
    [
        ("relu", [-1e3, -1e3, 1e3, 0], 0.5, np.nan),
        ("leaky_relu", [-1e3, -1e3, 1e3, 0], 0.0, np.nan),
        ("gelu", [-1e3, -1e3, 1e3, 0], 0.5, np.nan),
        ("selu", [-1e3, -1e3, 1e3, 0], 0.5, np.nan),
        ("identity", [-1e3, -1e3, 1e3, 0], 0.0, np.nan),
        ("tanh", [-3, -3, 3, 0], 0.0, 0.75),
        ("logistic", [-6, -6, 6, 0], 0.0, 0.75),
        ("tanh", [-1e3, -1, 1, 0], 0.25, 0.25),
    ],
)
def test_dead_and_saturated_units(activation, biases, dead, saturated):
    X, y = iris()
    clf = classifier(hidden_layer_sizes=(4,), activation=activation).fit(X, y)
    clf.coefs_[0][...] *= 1e-3
    clf.intercepts_[0][...] = biases
    display = ActivationDisplay.from_estimator(clf, X)
    np.testing.assert_array_equal(display.dead_shares, [dead])
    np.testing.assert_array_equal(display.saturated_shares, [saturated])
    (label,) = [text.get_text() for text in display.axes_[1].get_xticklabels()]
    written = (
        f"{100 * dead:g} % dead" if np.isnan(saturated) else f"{100 * saturated:g} % saturated"
    )
    assert label.endswith(written)


def test_saturated_means_on_most_rows():
    X = np.repeat([[0.0], [1.0]], [6, 4], axis=0)
    clf = classifier(hidden_layer_sizes=(2,), batch_size=5).fit(X, X[:, 0])
    clf.coefs_[0][...] = 10
    clf.intercepts_[0][...] = [0, -10]  # far out on 4 rows of 10, and on 6
    assert ActivationDisplay.from_estimator(clf, X).saturated_shares == [0.5]


def test_activations_of_few_rows_and_of_none():
    est, X = fitted("names")
    assert ActivationDisplay.from_estimator(est, X[:1]).activations[0].shape == (1, 5)
    assert len(ActivationDisplay.from_estimator(est, X, most_rows=7).activations[0]) == 7
    clf = classifier(hidden_layer_sizes=()).fit(*iris())
    with pytest.raises(ValueError, match="no hidden layers"):
        ActivationDisplay.from_estimator(clf, iris()[0])


# Weights ----------------------------------------------------------------------------------------


def test_images_are_the_units_weights_longest_first_on_a_symmetric_scale():
    X, y = iris()
    clf = classifier(hidden_layer_sizes=(6,), feature_scaling="learned").fit(X, y)
    display = WeightDisplay.from_estimator(clf, kind="images", n_units=5)
    W = clf.coefs_[0]
    norms = []
    for ax in display.axes_:
        (image,) = ax.get_images()
        unit = int(ax.get_title().split()[1]) - 1
        np.testing.assert_array_equal(image.get_array(), W[:, unit].reshape(2, 2))
        norms.append(np.linalg.norm(W[:, unit]))
        low, high = image.get_clim()
        assert low == -high
        assert high >= np.max(np.abs(W[:, unit]))
    # A column's norm may be summed up in another order than those of all columns at once.
    expected = sorted(np.linalg.norm(W, axis=0), reverse=True)[:5]
    np.testing.assert_allclose(norms, expected, rtol=1e-12)
    assert "weight" in [ax.get_ylabel() for ax in display.figure_.axes]


def test_distributions_hold_the_mean_and_the_deviation():
    est, _ = fitted("names")
    display = WeightDisplay.from_estimator(est)
    for ax, arrays in zip(display.axes_, (est.coefs_, est.intercepts_), strict=True):
        (bars,) = ax.containers
        means, _, (spans,) = bars.lines
        np.testing.assert_allclose(means.get_ydata(orig=False), [a.mean() for a in arrays])
        lengths = [np.ptp(segment[:, 1]) for segment in spans.get_segments()]
        np.testing.assert_allclose(lengths, [2 * a.std() for a in arrays])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"kind": "image"}, ValueError, "kind must be 'distribution' or 'images', got 'image'"),
        ({"kind": "images"}, ValueError, "10 inputs make no square"),
        ({"kind": "images", "image_shape": (3, 3)}, ValueError, "9 pixels, but .* has 10 inputs"),
        ({"kind": "distribution", "image_shape": (2, 5)}, ValueError, "goes with kind='images'"),
        ({"kind": "images", "image_shape": 10}, ValueError, "image_shape must be .* got 10"),
        ({"kind": "images", "n_units": 0}, ValueError, "n_units .* got 0"),
    ],
)
def test_bad_arguments_of_weights(arguments, error, message):
    est, _ = fitted("several")
    with pytest.raises(error, match=message):
        WeightDisplay.from_estimator(est, **arguments)


# Architecture -----------------------------------------------------------------------------------


def test_the_network_is_labeled_with_all_that_is_known():
    est, _ = fitted("names")
    written = texts(NetworkDisplay.from_estimator(est).ax_)
    assert written == [
        "inputs\n4 features",
        "hidden layer 1\n5 units\nTanh\n25 parameters",
        "hidden layer 2\n3 units\nTanh\n18 parameters",
        "outputs\n3 units\nsoftmax\n12 parameters",
        *"abcd",
        *"xyz",
    ]
    est, _ = fitted("multilabel")
    _, hidden, *_ = texts(NetworkDisplay.from_estimator(est).ax_)
    # 5 x 8 weights, 8 biases, 5 scales
    assert hidden == "hidden layer 1\n8 units\nTanh\ndropout 0.2\n53 parameters"
    est, _ = fitted("binary")
    display = NetworkDisplay.from_estimator(est)
    assert display.output_names == ["1"]
    assert "batch norm" in display.descriptions[1]
    assert sum(int(text.split()[-2]) for text in display.descriptions[1:]) == (
        est.network_.parameters.vector.size
    )
    assert NetworkDisplay.from_estimator(fitted("regressor")[0]).output_names is None
    assert NetworkDisplay.from_estimator(fitted("several")[0]).output_names == [
        "output 1",
        "output 2",
    ]


def test_lines_tell_the_weights_by_width_and_sign_by_color():
    est, _ = fitted("names")
    for W, drawn in zip(
        est.coefs_, NetworkDisplay.from_estimator(est).ax_.collections, strict=False
    ):
        widths = np.reshape(drawn.get_linewidths(), W.shape)
        np.testing.assert_allclose(widths / widths.max(), np.abs(W) / np.abs(W).max())
        colors = np.reshape(drawn.get_colors(), (*W.shape, 4))
        assert len(np.unique(colors[W > 0], axis=0)) == len(np.unique(colors[W < 0], axis=0)) == 1
        assert not np.array_equal(colors[W > 0][0], colors[W < 0][0])


def test_large_layers_are_cut_in_the_middle():
    est, _ = fitted("several")  # 10 features, 20 units, 2 outputs
    display = NetworkDisplay.from_estimator(est)
    assert display.ax_.get_legend() is None
    units = [c.get_offsets() for c in display.ax_.collections if len(c.get_offsets()) > 1]
    assert [len(offsets) for offsets in units] == [10, 12, 3, 2]  # three dots for what is left out
    display.plot(most_units=20)
    assert display.ax_.get_legend() is not None
    assert NetworkDisplay.from_estimator(est, show_weights=True).ax_.get_legend() is not None
    with pytest.raises(ValueError, match=r"most_units .* got 1"):
        display.plot(most_units=1)
