"""Helpers of several test modules: gradient checks, problems to train on, memory, threads."""

import copy
import pickle
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import skscratch.nn as nn
from skscratch.nn.workspace import Context

duplicates = pytest.mark.parametrize(
    "duplicate",
    [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))],
    ids=["deepcopy", "pickle"],
)


def directional_error(function, gradient, point, rng, step=1e-5):
    """Compare ``gradient . d`` with a central difference of ``function`` along a random d.

    Returns the relative error. ``function`` maps an array like ``point`` to a float.
    """
    d = rng.standard_normal(point.shape)
    numeric = (function(point + step * d) - function(point - step * d)) / (2 * step)
    analytic = float(np.sum(gradient * d))
    return abs(numeric - analytic) / max(abs(numeric), abs(analytic))


class Float32Only(np.ndarray):
    """An array that refuses any ufunc with a double among its inputs.

    A single NumPy float64 scalar makes NumPy compute a float32 loop in double precision, several
    times slower, and no result shows it. Python floats are fine.
    """

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **kwargs):
        for value in inputs:
            if isinstance(value, (np.ndarray, np.generic)):
                assert value.dtype != np.float64, f"{ufunc.__name__} in double: {value!r}"

        def plain(value):
            return value.view(np.ndarray) if isinstance(value, Float32Only) else value

        kwargs.update(out=tuple(map(plain, out))) if out else None
        result = getattr(ufunc, method)(*map(plain, inputs), **kwargs)
        if out:
            return out[0]
        return result.view(Float32Only) if isinstance(result, np.ndarray) else result


def with_numpy_scalars(option):
    """Copy an option with NumPy's float64 scalars, as np.linspace in a search grid gives them."""
    params = option.get_params().items()
    return type(option)(**{k: np.float64(v) if type(v) is float else v for k, v in params})


def targets(loss, rng, n_rows, n_outputs):
    """Draw targets that suit the loss: one-hot, yes/no labels, counts, amounts, or real numbers."""
    if isinstance(loss, nn.SoftmaxLogLoss):
        return np.eye(n_outputs)[rng.integers(n_outputs, size=n_rows)]
    if isinstance(loss, nn.LogisticLogLoss):
        return rng.integers(2, size=(n_rows, n_outputs)).astype(float)
    if isinstance(loss, nn.Poisson):
        return rng.poisson(1.5, (n_rows, n_outputs)).astype(float)
    if isinstance(loss, nn.Gamma):
        return rng.gamma(2, size=(n_rows, n_outputs)) + 0.1
    return rng.standard_normal((n_rows, n_outputs))


def mean_one_weights(rng, n_rows, n_columns=1):
    """Draw weights of rows, or of each output in each row, of mean 1; the first row's are 0."""
    weights = rng.uniform(0.2, 3, (n_rows, n_columns))
    weights[0] = 0
    return weights / weights.mean()


def randomized(network, seed=0, scale=0.5):
    """Fill all parameters, biases too, with normal numbers and return the network."""
    vector = network.parameters.vector
    vector[...] = np.random.default_rng(seed).standard_normal(vector.shape) * scale
    return network


def network_of(sizes, activations=(), dropout=(), *, stack=(), dtype=np.float64, **settings):
    """Make a network of an architecture."""
    architecture = nn.Architecture(sizes, activations, dropout, **settings)
    return nn.Network(architecture, stack, dtype)


def small_network(dropout=(), **settings):
    """Make a network of random parameters with a hidden layer."""
    return randomized(network_of([3, 4, 2], [nn.Tanh()], dropout, **settings))


def learner_of(network, **settings):
    """Make a learner with plain settings where none are given."""
    defaults = {"loss": nn.SquaredError(), "optimizer": nn.SGD(), "learning_rate": 0.1}
    return nn.Learner(network, **{**defaults, **settings})


def problem(loss=None, n_rows=11, n_in=3, n_outputs=2, seed=0):
    """Draw inputs, targets and weights with mean 1."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, n_in))
    loss = loss or nn.SquaredError()
    return X, targets(loss, rng, n_rows, n_outputs), mean_one_weights(rng, n_rows)


def filled(X):
    """Return a batch's inputs as an array, with what a sparse block stands for."""
    if isinstance(X, np.ndarray):
        return X
    n_in = X.shape[-1]
    return X.times(np.broadcast_to(np.eye(n_in), (*X.shape[:-2], n_in, n_in)), np.empty(X.shape))


def batch_of(X, Y, weights=None):
    """Make a batch in which all rows count."""
    return nn.Batch(X, Y, weights)


def streams_of(*seeds):
    """Make a stream of random numbers from each seed."""
    return [np.random.default_rng(seed) for seed in seeds]


def column(values):
    """Make a hyperparameter of networks side by side, a number for each."""
    return np.array(values)[:, np.newaxis]


def numbers(network):
    """Copy all numbers of a network, or of each in a stack: parameters and running averages."""
    return np.concatenate(network.vectors, axis=-1)


def room_for(stack=(), n_rows=5, dtype=np.float64):
    """Give out arrays full of NaN, which shows if one is read before it is written."""
    return lambda width: np.full((*stack, n_rows, width), np.nan, dtype)


def bound(layer, rng, stack=(), dtype=np.float64):
    """Give a layer random parameters; return it, these, and NaN for their gradients."""
    views = [
        rng.standard_normal((*stack, shape.rows, shape.columns)).astype(dtype)
        for shape in layer.shapes()
    ]
    layer.bind(views, [])
    return layer, views, [np.full_like(view, np.nan) for view in views]


def half_sparse(rng, *shape):
    """Draw normal numbers of which half are 0."""
    return rng.standard_normal(shape) * (rng.random(shape) < 0.5)


def scripted(scores, seen=None):
    """Validate with given scores, noting each network's numbers at the time."""
    remaining = iter(scores)

    def validate(*networks):
        if seen is not None:
            seen.append([numbers(network) for network in networks])
        return 0.5, next(remaining)

    return validate


def peak_of(call):
    """Return the most memory that a call takes, in bytes."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def assert_predicts_concurrently(network, n_rows=3000, n_threads=8):
    """Predict several inputs in threads, which give what one after the other gives."""
    rngs = streams_of(*range(n_threads))
    inputs = [rng.standard_normal((n_rows, network.sizes[0])) for rng in rngs]
    expected = [network.predict(X) for X in inputs]
    with ThreadPoolExecutor(n_threads) as pool:
        for _ in range(3):
            for Z, right in zip(pool.map(network.predict, inputs), expected, strict=True):
                np.testing.assert_array_equal(Z, right)


def context_of(*seeds, weights=None, counts=None):
    """Make what the layers of a workspace share, with a stream for each seed."""
    return Context(streams_of(*seeds), weights, counts)


def value_and_gradient(
    network, X, Y, weights=None, *, workspace=None, streams=(), loss=None, **settings
):
    """Return what a step computes before it moves the parameters, the gradient as a copy."""
    learner = learner_of(network, loss=loss or nn.SquaredError(), streams=streams, **settings)
    workspace = workspace or learner.workspace(len(Y))
    value = nn.loss_and_gradient(learner, batch_of(X, Y, weights), workspace)
    return value, workspace.gradient.vector.copy()


def gradient_errors(network, loss, *, dropout=False):
    """Directional errors of the whole gradient with L2 and weights, in three directions."""
    rng = np.random.default_rng(10)
    n_in, n_out = network.sizes[0], network.sizes[-1]
    X, Y = rng.standard_normal((6, n_in)), targets(loss, rng, 6, n_out)
    weights = mean_one_weights(rng, 6)
    vector = network.parameters.vector
    start = vector.copy()

    def at(point):
        vector[...] = point
        streams = streams_of(11) if dropout else ()
        return value_and_gradient(
            network, X, Y, weights, loss=loss, l2=0.3, mean_weight=1.7, streams=streams
        )

    _, gradient = at(start)
    # A longer step would meet a kink of ReLU or of the absolute error now and then.
    return [
        directional_error(lambda point: float(at(point)[0]), gradient, start, rng, step=1e-6)
        for _ in range(3)
    ]
