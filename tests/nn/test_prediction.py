"""Prediction: block by block, of whatever rows come from."""

import numpy as np
import pytest
import scipy.sparse

from skscratch.nn import (
    GELU,
    NORMALIZATIONS,
    DenseRows,
    Dropout,
    Mish,
    ReLU,
    SparseRows,
    Tanh,
    Workspace,
)

from .checks import assert_predicts_concurrently, network_of, peak_of, randomized

normalizations = pytest.mark.parametrize("normalization", [None, *NORMALIZATIONS])


def one_big_forward(network, X):
    return network.forward(X, Workspace(network, len(X))).copy()


def test_prediction_goes_block_by_block_and_joins_them():
    # The widest layer has 1024 units, so that a block has 128 rows, the fewest that it may have.
    network = randomized(network_of([3, 1024, 2], [Tanh()]))
    for n_rows in (1, 127, 128, 129, 256, 257, 400):
        X = np.random.default_rng(17).standard_normal((n_rows, 3))
        Z = network.predict(X)
        assert Z.shape == (n_rows, 2)
        np.testing.assert_allclose(Z, one_big_forward(network, X), rtol=1e-11, atol=1e-12)


def test_prediction_of_no_rows():
    network = network_of([3, 4, 2], [Tanh()])
    assert network.predict(np.empty((0, 3))).shape == (0, 2)
    labels = network.predict(np.empty((0, 3)), decode=lambda Z: Z[:, :1] > 0)
    assert labels.shape == (0, 1)
    assert labels.dtype == bool


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logits_are_decoded_block_by_block_in_double_precision(dtype):
    network = randomized(network_of([3, 1024, 5], [Tanh()], dtype=dtype, stack=(2,)))
    X = np.random.default_rng(27).standard_normal((600, 3))
    Z = network.predict(X)
    blocks = []

    def largest_three(Z):
        blocks.append((Z.shape[-2], Z.dtype))
        return np.argsort(Z, axis=-1)[..., 2:].astype(np.int32)

    classes = network.predict(X, decode=largest_three)
    assert blocks == [(128, np.float64)] * 4 + [(88, np.float64)]
    assert classes.dtype == np.int32
    np.testing.assert_array_equal(classes, np.argsort(Z, axis=-1)[..., 2:])
    taken = network.predict(X, rows=np.arange(599, -1, -1), decode=np.tanh)
    np.testing.assert_allclose(taken, np.tanh(Z[..., ::-1, :]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("decode", [None, np.tanh], ids=["logits", "decoded"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_prediction_needs_memory_for_a_block_only(dtype, decode):
    network = randomized(network_of([4, 100, 3], [Tanh()], dtype=dtype))
    X = np.random.default_rng(28).standard_normal((50_000, 4))  # its hidden layer: 20 or 40 MB
    network.predict(X[:5], decode=decode)  # loads what is imported on first use
    peak = peak_of(lambda: network.predict(X, decode=decode))
    assert peak - 50_000 * 3 * 8 < 2.5e6  # besides the predictions


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["float32", "int64", "uint8", "bool", "fortran", "strided"])
def test_prediction_of_other_arrays(kind, dtype):
    network = randomized(network_of([3, 8, 2], [Mish()], dtype=dtype))
    X = np.random.default_rng(18).integers(0, 5, (50, 3))
    if kind == "fortran":
        given = np.asfortranarray(X.astype(float))
    elif kind == "strided":
        given = np.repeat(np.repeat(X.astype(float), 2, axis=0), 3, axis=1)[::2, ::3]
    else:
        given = X.astype(kind)
    kept = given.copy()
    Z = network.predict(given)
    assert Z.dtype == np.float64
    np.testing.assert_allclose(Z, one_big_forward(network, kept.astype(dtype)), rtol=1e-5)
    np.testing.assert_array_equal(given, kept)


def test_prediction_computes_in_the_dtype_of_the_network():
    """Bit for bit: a product of double inputs would differ, and take twice as long."""
    network = randomized(network_of([30, 8, 2], [Mish()], dtype=np.float32))
    X = np.random.default_rng(26).standard_normal((50, 30))
    expected = one_big_forward(network, X.astype(np.float32))
    np.testing.assert_array_equal(network.predict(X), expected)


@pytest.mark.parametrize("kind", ["csr_array", "csr_matrix"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_prediction_of_sparse_input(kind, dtype):
    network = randomized(network_of([3, 1024, 2], [ReLU()]))
    X = np.random.default_rng(19).integers(0, 3, (270, 3)).astype(dtype)
    Z = network.predict(getattr(scipy.sparse, kind)(X))
    np.testing.assert_allclose(Z, one_big_forward(network, X.astype(float)), rtol=1e-11)


@pytest.mark.parametrize("sparse", [False, True])
def test_prediction_of_some_rows(sparse):
    network = randomized(network_of([3, 1024, 2], [ReLU()]))
    X = np.random.default_rng(24).standard_normal((400, 3))
    rows = np.random.default_rng(25).permutation(400)[:270]
    Z = network.predict(scipy.sparse.csr_array(X) if sparse else X, rows=rows)
    np.testing.assert_allclose(Z, one_big_forward(network, X[rows]), rtol=1e-11, atol=1e-12)
    assert network.predict(X, rows=rows[:0]).shape == (0, 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("chosen", [None, slice(0, 0), slice(None, 270)])
def test_prediction_converts_its_rows_block_by_block(dtype, chosen):
    network = randomized(network_of([3, 1024, 2], [ReLU()], dtype=dtype))
    X = np.random.default_rng(24).standard_normal((400, 3))
    rows = None if chosen is None else np.random.default_rng(25).permutation(400)[chosen]
    sizes = []

    def convert(block, out):
        sizes.append(len(block))
        return np.multiply(block, 2, out=out, casting="same_kind")

    taken = X if rows is None else X[rows]
    expected = one_big_forward(network, (2 * taken).astype(dtype))
    Z = network.predict(DenseRows(X, dtype, convert), rows)
    np.testing.assert_allclose(Z, expected, rtol=1e-4, atol=1e-5)
    assert sizes in ([128, 128, 128, 16], [0], [128, 128, 14])


@pytest.mark.parametrize("sizes", [[3, 4, 2], [3, 2]])
@pytest.mark.parametrize("stack", [(), (2,)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_prediction_adds_the_shift_of_sparse_rows(sizes, stack, dtype):
    activations = [ReLU()] * (len(sizes) - 2)
    network = randomized(network_of(sizes, activations, stack=stack, dtype=dtype))
    X, shift = np.random.default_rng(27).standard_normal((300, 3)), np.array([[1.0, 0.0, -2.0]])
    sparse = SparseRows(scipy.sparse.csr_array(X), dtype, shift)
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    expected = network.predict(X + shift)
    np.testing.assert_allclose(network.predict(sparse), expected, rtol=tolerance, atol=tolerance)
    rows = np.arange(299, 0, -7)
    Z = network.predict(sparse, rows)
    np.testing.assert_allclose(Z, expected[..., rows, :], rtol=tolerance, atol=tolerance)


def test_prediction_does_without_dropout():
    rates = network_of([3, 8, 2], [ReLU()], [0.5])
    none = randomized(network_of([3, 8, 2], [ReLU()]))
    assert any(isinstance(layer, Dropout) for layer in rates.layers)
    X = np.random.default_rng(20).standard_normal((5, 3))
    np.testing.assert_array_equal(randomized(rates).predict(X), none.predict(X))


@normalizations
def test_concurrent_predictions_do_not_disturb_each_other(normalization):
    network = randomized(network_of([20, 64, 64, 3], [GELU(), ReLU()], normalization=normalization))
    assert_predicts_concurrently(network)


@normalizations
def test_a_stack_predicts_like_its_members(normalization):
    stack = randomized(
        network_of([3, 1024, 2], [Tanh()], normalization=normalization, stack=(2, 2))
    )
    running = stack.statistics.vector
    running[...] = np.random.default_rng(28).uniform(0.5, 2, running.shape)
    X = np.random.default_rng(21).standard_normal((300, 3))
    Z = stack.predict(X)
    assert Z.shape == (2, 2, 300, 2)
    for index in np.ndindex(2, 2):
        member = network_of([3, 1024, 2], [Tanh()], normalization=normalization)
        member.restore((stack.parameters.vector[index], running[index]))
        np.testing.assert_allclose(Z[index], member.predict(X), rtol=1e-11, atol=1e-12)
