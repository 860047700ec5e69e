import numpy as np
import pytest
import scipy.sparse

from skscratch.nn import ACTIVATIONS, Activate, Dense, Dropout, SparseBlock
from skscratch.nn.layers import matmul

from . import reference
from .checks import bound, context_of, directional_error, room_for

STACKS = pytest.mark.parametrize("stack", [(), (3,)])
N_ROWS, N_IN, N_OUT = 5, 4, 3


def a_dense(rng, stack=(), **settings):
    layer, _, gradients = bound(Dense(N_IN, N_OUT, **settings), rng, stack)
    return layer, gradients


def test_dense_of_the_textbook():
    layer = Dense(3, 2)
    layer.bind([np.array([[1.0, 2, 3], [2, 3, 4]]).T, np.zeros((1, 2))], [])
    X = np.array([[1.0, 1, 1], [2, 2, 2]])
    Z = layer.forward(X, layer.prepare(room_for(n_rows=2), None, context_of()))
    np.testing.assert_array_equal(Z, [[6, 9], [12, 18]])


def test_dense_asks_for_penalized_weights_and_free_biases():
    weights, biases = Dense(N_IN, N_OUT).shapes()
    assert weights == (N_IN, N_OUT, True)
    assert biases == (1, N_OUT, False)


def test_dense_matches_the_loops():
    rng = np.random.default_rng(0)
    layer, gradients = a_dense(rng)
    X, dZ = rng.standard_normal((N_ROWS, N_IN)), rng.standard_normal((N_ROWS, N_OUT))
    cache = layer.prepare(room_for(), gradients, context_of())
    Z = layer.forward(X, cache)
    np.testing.assert_allclose(Z, reference.dense(X, layer.W, layer.b[0]), rtol=1e-13)
    dX = layer.backward(dZ.copy(), cache)
    dW, db, expected_dX = reference.dense_backward(X, layer.W, dZ)
    np.testing.assert_allclose(gradients[0], dW, rtol=1e-12)
    np.testing.assert_allclose(gradients[1], [db], rtol=1e-12)
    np.testing.assert_allclose(dX, expected_dX, rtol=1e-12)


@STACKS
@pytest.mark.parametrize("shared_input", [True, False])
def test_dense_gradients_are_directional_derivatives(stack, shared_input):
    rng = np.random.default_rng(1)
    layer, gradients = a_dense(rng, stack)
    X = rng.standard_normal((N_ROWS, N_IN) if shared_input else (*stack, N_ROWS, N_IN))
    dZ = rng.standard_normal((*stack, N_ROWS, N_OUT))
    cache = layer.prepare(room_for(stack), gradients, context_of())
    layer.forward(X, cache)
    dX = layer.backward(dZ.copy(), cache).copy()
    if shared_input and stack:
        dX = dX.sum(axis=0)

    W, b = layer.W.copy(), layer.b.copy()

    def output(W=W, b=b, X=X):
        layer.bind([W, b], [])
        cache = layer.prepare(room_for(stack), None, context_of())
        return float(np.sum(dZ * layer.forward(X, cache)))

    dW, db = gradients
    assert directional_error(lambda W: output(W=W), dW, W, rng) < 1e-6
    assert directional_error(lambda b: output(b=b), db, b, rng) < 1e-6
    assert directional_error(lambda at: output(X=at), dX, X, rng) < 1e-6


def test_dense_without_input_gradient_skips_it():
    rng = np.random.default_rng(2)
    layer, gradients = a_dense(rng, input_gradient=False)
    asked = []

    def room(width):
        asked.append(width)
        return np.empty((N_ROWS, width))

    cache = layer.prepare(room, gradients, context_of())
    layer.forward(rng.standard_normal((N_ROWS, N_IN)), cache)
    assert layer.backward(np.ones((N_ROWS, N_OUT)), cache) is None
    assert asked == [N_OUT]
    assert np.isfinite(gradients[0]).all()


@pytest.mark.parametrize("kind", ["csr_array", "csr_matrix"])
@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("rows", ["of one", "shared", "own"])
def test_dense_takes_sparse_rows(kind, shifted, rows):
    rng = np.random.default_rng(3)
    stack = () if rows == "of one" else (2,)
    shape = (2, N_ROWS, N_IN) if rows == "own" else (N_ROWS, N_IN)
    X = rng.standard_normal(shape) * (rng.random(shape) < 0.5)
    shift = rng.standard_normal((1, N_IN)) if shifted else None
    block = SparseBlock(getattr(scipy.sparse, kind)(X.reshape(-1, N_IN)), shift).reshape(*shape)
    assert block.shape == shape
    results = []
    for inputs in (X if shift is None else X + shift, block):
        layer, gradients = a_dense(np.random.default_rng(4), stack, input_gradient=False)
        cache = layer.prepare(room_for(stack), gradients, context_of())
        Z = layer.forward(inputs, cache).copy()
        assert layer.backward(Z.copy(), cache) is None
        results.append([Z, *gradients])
    for dense, sparse in zip(*results, strict=True):
        assert type(sparse) is np.ndarray
        np.testing.assert_allclose(sparse, dense, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ACTIVATIONS)
@STACKS
def test_activate_matches_the_loops_and_finite_differences(name, stack):
    rng = np.random.default_rng(5)
    activation = ACTIVATIONS[name]()
    layer = Activate(activation, N_OUT)
    Z, dA = rng.standard_normal((2, *stack, N_ROWS, N_OUT))
    Z[np.abs(Z) < 1e-2] = 0.5  # off the kinks
    assert layer.shapes() == []

    def forward(Z):
        cache = layer.prepare(room_for(stack), (), context_of())
        return layer.forward(Z.copy(), cache), cache

    A, cache = forward(Z)
    f, derivative = reference.activation(activation)
    np.testing.assert_allclose(A, np.vectorize(f)(Z), rtol=1e-11, atol=1e-14)
    dZ = layer.backward(dA.copy(), cache)
    np.testing.assert_allclose(dZ, dA * np.vectorize(derivative)(Z), rtol=1e-11, atol=1e-14)
    error = directional_error(lambda at: float(np.sum(dA * forward(at)[0])), dZ, Z, rng)
    assert error < 1e-6


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activate_takes_no_more_room_than_its_activation_declares(name):
    asked = []

    def room(width):
        asked.append(width)
        return np.empty((N_ROWS, width))

    activation = ACTIVATIONS[name]()
    cache = Activate(activation, N_OUT).prepare(room, (), context_of())
    assert asked == [N_OUT] * (activation.n_saved + (not activation.in_place))
    Z = np.ones((N_ROWS, N_OUT))
    A = Activate(activation, N_OUT).forward(Z, cache)
    assert (A is Z) == activation.in_place


@pytest.mark.parametrize("rate", [0.2, 0.5, 0.9])
def test_dropout_matches_the_loops_given_its_random_numbers(rate):
    rng = np.random.default_rng(6)
    X, dY = rng.standard_normal((2, N_ROWS, N_OUT))
    layer = Dropout(rate, N_OUT)
    cache = layer.prepare(room_for(), (), context_of(7))
    uniform = np.random.default_rng(7).random((2, N_ROWS, N_OUT))
    for draw in uniform:  # a new mask for each batch
        kept = X.copy()
        Y = layer.forward(X, cache)
        np.testing.assert_allclose(Y, reference.inverted_dropout(X, draw, rate), rtol=1e-14)
        dX = layer.backward(dY.copy(), cache)
        np.testing.assert_allclose(dX, reference.inverted_dropout(dY, draw, rate), rtol=1e-14)
        # The activation before it computes its derivative from X afterwards.
        np.testing.assert_array_equal(X, kept)


def test_dropout_gradient_is_the_directional_derivative_for_a_fixed_stream():
    rng = np.random.default_rng(8)
    X, dY = rng.standard_normal((2, N_ROWS, N_OUT))
    layer = Dropout(0.4, N_OUT)

    def forward(X):
        cache = layer.prepare(room_for(), (), context_of(9))
        return layer.forward(X, cache), cache

    _, cache = forward(X)
    dX = layer.backward(dY.copy(), cache)
    assert directional_error(lambda at: float(np.sum(dY * forward(at)[0])), dX, X, rng) < 1e-6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dropout_keeps_the_mean_and_drops_the_stated_share(dtype):
    layer = Dropout(0.3, 100)
    room = room_for(n_rows=1000, dtype=dtype)
    cache = layer.prepare(room, (), context_of(10))
    Y = layer.forward(np.ones((1000, 100), dtype), cache)
    assert Y.dtype == dtype
    # Four standard deviations of a mean of 100,000 draws.
    assert np.mean(Y == 0) == pytest.approx(0.3, abs=4 * np.sqrt(0.3 * 0.7 / 1e5))
    np.testing.assert_allclose(np.unique(Y), [0, 1 / 0.7], rtol=1e-6)
    assert Y.mean() == pytest.approx(1, abs=0.01)


def test_networks_of_a_stack_have_dropout_rates_of_their_own():
    layer, X = Dropout(np.array([[0.0], [0.2], [0.5]]), N_OUT), np.ones((3, N_ROWS, N_OUT))
    cache = layer.prepare(room_for((3,)), (), context_of(1, 2, 3))
    Y = layer.forward(X, cache)
    dX = layer.backward(np.ones_like(X), cache)
    np.testing.assert_array_equal(Y[0], 1)
    for k, rate in ((1, 0.2), (2, 0.5)):
        alone = Dropout(rate, N_OUT)
        cache = alone.prepare(room_for(), (), context_of(k + 1))
        np.testing.assert_array_equal(Y[k], alone.forward(X[k], cache))
        np.testing.assert_array_equal(dX[k], Y[k])


def test_dropout_draws_for_the_rows_that_count_as_many_numbers_as_without_the_others():
    layer, X = Dropout(0.5, N_OUT), np.ones((3, N_ROWS, N_OUT))
    context = context_of(1, 2, 3, counts=np.array([[2], [5], [4]]))
    cache = layer.prepare(room_for((3,)), (), context)
    Y = [layer.forward(X, cache).copy() for _ in range(2)]
    for k, n_rows in enumerate((2, 5, 4)):
        alone = layer.prepare(room_for(n_rows=n_rows), (), context_of(k + 1))
        for together in Y:  # in the next batch the stream stands where it would alone
            own = layer.forward(X[k, :n_rows], alone)
            np.testing.assert_array_equal(together[k, :n_rows], own)


def test_dropout_members_of_a_stack_have_streams_of_their_own():
    layer, X = Dropout(0.5, N_OUT), np.ones((3, N_ROWS, N_OUT))
    Y = layer.forward(X, layer.prepare(room_for((3,)), (), context_of(1, 2, 1)))
    np.testing.assert_array_equal(Y[0], Y[2])
    assert not np.array_equal(Y[0], Y[1])
    alone = layer.prepare(room_for(), (), context_of(2))
    np.testing.assert_array_equal(Y[1], layer.forward(X[1], alone))


def test_dropout_needs_a_stream_for_each_member():
    layer = Dropout(0.5, N_OUT)
    cache = layer.prepare(room_for((3,)), (), context_of(0))
    with pytest.raises(ValueError, match="zip"):
        layer.forward(np.ones((3, N_ROWS, N_OUT)), cache)


def test_dropout_passes_everything_on_in_prediction():
    layer, X = Dropout(0.5, N_OUT), np.ones((N_ROWS, N_OUT))
    assert layer.forward(X, layer.prepare(room_for(), None, context_of())) is X


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(
    ("n_rows", "n_inner", "n_out"), [(5, 1, 4), (1, 1, 4), (5, 1, 1), (5, 3, 4)]
)
def test_a_stacks_products_have_any_inner_dimension(n_rows, n_inner, n_out, shared):
    rng = np.random.default_rng(0)
    A = rng.normal(size=(n_rows, n_inner) if shared else (2, n_rows, n_inner))
    B = rng.normal(size=(2, n_out, n_inner)).mT
    out = np.full((2, n_rows, n_out), np.nan)
    assert matmul(A, B, out) is out
    np.testing.assert_allclose(out, np.einsum("...ij,...jk->...ik", A, B), rtol=1e-12)


def test_a_stacks_outer_products_do_without_matmul(monkeypatch):
    # NumPy's matmul computes them without the BLAS, three times as slowly.
    A, B, out = np.ones((2, 5, 1)), np.ones((2, 1, 4)), np.empty((2, 5, 4))
    monkeypatch.setattr(np, "matmul", None)
    np.testing.assert_array_equal(matmul(A, B, out), 1)
