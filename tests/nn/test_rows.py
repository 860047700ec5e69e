"""Rows: of arrays, memory maps and sparse matrices, and training on each of them."""

import pickle
import re

import numpy as np
import pytest
import scipy.sparse

from skscratch.nn import (
    Adam,
    Batches,
    DenseRows,
    OneHot,
    SoftmaxLogLoss,
    SparseBlock,
    SparseRows,
    fit,
)
from skscratch.nn.rows import as_rows, cast

from .checks import (
    filled,
    half_sparse,
    learner_of,
    numbers,
    peak_of,
    problem,
    small_network,
    streams_of,
)

dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
CHOSEN = {
    "slice": slice(3, 8),
    "indices": np.array([7, 0, 7, 3]),
    "none": np.array([], dtype=np.intp),
    "all": slice(None),
}
choices = pytest.mark.parametrize("choice", CHOSEN)


def some_zeros(n_rows=30):
    return half_sparse(np.random.default_rng(2), n_rows, 3)


# --- Dense ------------------------------------------------------------------------------------


@choices
@dtypes
@pytest.mark.parametrize("kind", ["float64", "float32", "int16", "bool", "fortran", "strided"])
def test_rows_of_an_array_come_in_the_dtype_asked_for(choice, dtype, kind, tmp_path):
    X = np.random.default_rng(0).integers(0, 2, (10, 4))
    if kind == "fortran":
        X = np.asfortranarray(X.astype(dtype))
    elif kind == "strided":
        X = np.repeat(X.astype(dtype), 2, axis=1)[:, ::2]
    else:
        X = X.astype(kind)
    rows, chosen, kept = DenseRows(X, dtype), CHOSEN[choice], X.copy()
    assert rows.shape == (10, 4)
    needed = rows.needs_room(not isinstance(chosen, slice))
    room = np.full((12, 4), np.nan, dtype) if needed else None
    taken = rows.take(chosen, room)
    assert taken.dtype == dtype
    np.testing.assert_array_equal(taken, X[chosen])
    assert not needed or np.shares_memory(taken, room) or not taken.size
    np.testing.assert_array_equal(X, kept)


@dtypes
def test_a_slice_of_an_array_of_the_right_dtype_is_a_view(dtype):
    X = np.ones((10, 4), dtype)
    rows = DenseRows(X, dtype)
    assert not rows.needs_room(gathered=False)
    assert np.shares_memory(rows.take(slice(2, 5), None), X)
    assert rows.needs_room(gathered=True)


@choices
@dtypes
def test_rows_are_converted_as_they_are_taken(choice, dtype):
    X, chosen = np.arange(40.0).reshape(10, 4), CHOSEN[choice]

    def convert(rows, out):
        np.subtract(rows, 3, out=out, casting="same_kind")
        out *= 2
        return out

    rows = DenseRows(X, dtype, convert)
    assert rows.needs_room(gathered=False)
    room = np.full((12, 4), np.nan, dtype)
    taken = rows.take(chosen, room)
    np.testing.assert_array_equal(taken, 2 * (X[chosen] - 3))
    assert taken.dtype == dtype
    assert np.isnan(room[len(taken) :]).all()


def test_values_beyond_the_dtype_are_refused():
    message = (
        "There are values beyond the range of float32, which ends at 3.4e+38. "
        "Scale the data, or train with dtype='float64'."
    )
    X = np.array([[1.0, 1e39]])
    with pytest.raises(ValueError, match=re.escape(message)):
        cast(X, np.dtype(np.float32))
    with pytest.raises(ValueError, match=re.escape(message)):
        DenseRows(X, np.float32).take(slice(None), np.empty((1, 2), np.float32))
    with pytest.raises(ValueError, match=re.escape(message)):
        SparseRows(scipy.sparse.csr_array(X), np.float32).take(slice(None))
    X = np.ones((2, 3))
    assert cast(X, X.dtype) is X


def test_taking_rows_of_a_memory_map_reads_no_others(tmp_path):
    shape = (4000, 100)
    np.ones(shape, np.float32).tofile(tmp_path / "X")
    rows = DenseRows(np.memmap(tmp_path / "X", np.float32, "r", shape=shape), np.float64)
    room = np.empty((20, 100))
    rows.take(np.arange(20), room)
    peak = peak_of(lambda: rows.take(np.arange(3000, 2980, -1), room))
    assert peak < 20_000  # the map has 1.6 MB


# --- Sparse -----------------------------------------------------------------------------------


@choices
@dtypes
@pytest.mark.parametrize("kind", ["csr_array", "csr_matrix"])
@pytest.mark.parametrize("shifted", [False, True])
def test_sparse_rows_stand_for_the_dense_ones(choice, dtype, kind, shifted):
    X, shift = some_zeros(10), np.array([[0.5, 0.0, -2.0]])
    rows = SparseRows(getattr(scipy.sparse, kind)(X), dtype, shift if shifted else None)
    assert rows.shape == (10, 3)
    assert not rows.needs_room(gathered=True)
    block = rows.take(CHOSEN[choice])
    expected = (X + shift if shifted else X)[CHOSEN[choice]]
    assert isinstance(block, SparseBlock)
    assert block.shape == expected.shape
    np.testing.assert_allclose(filled(block), expected.astype(dtype), rtol=1e-6)


@choices
@dtypes
@pytest.mark.parametrize("shifted", [False, True])
def test_sparse_rows_are_converted_before_they_are_shifted(choice, dtype, shifted):
    X, shift, chosen = some_zeros(10), np.array([[0.5, 0.0, -2.0]]), CHOSEN[choice]
    sparse, sizes = scipy.sparse.csr_array(X), []

    def double(rows):
        sizes.append(rows.shape[0])
        return 2 * rows

    block = SparseRows(sparse, dtype, shift if shifted else None, double).take(chosen)
    expected = (2 * X + shift if shifted else 2 * X)[chosen]
    np.testing.assert_allclose(filled(block), expected, rtol=1e-6)
    assert sizes == [len(expected)]
    np.testing.assert_array_equal(sparse.toarray(), X)


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("form", ["one network", "shared", "own"])
@dtypes
def test_products_of_a_sparse_block_are_those_of_the_dense_rows(shifted, form, dtype):
    rng = np.random.default_rng(3)
    stack = () if form == "one network" else (2,)
    shape = (2, 5, 4) if form == "own" else (5, 4)
    X = (rng.standard_normal(shape) * (rng.random(shape) < 0.5)).astype(dtype)
    shift = rng.standard_normal((1, 4)).astype(dtype) if shifted else None
    block = SparseBlock(scipy.sparse.csr_array(X.reshape(-1, 4)), shift).reshape(*shape)
    dense = X if shift is None else X + shift
    W = rng.standard_normal((*stack, 4, 3)).astype(dtype)
    dZ = rng.standard_normal((*stack, 5, 3)).astype(dtype)
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    for product, out, expected in (
        (block.times(W, Z := np.full((*stack, 5, 3), np.nan, dtype)), Z, dense @ W),
        (block.transposed_times(dZ, dW := np.full((*stack, 4, 3), np.nan, dtype)), dW,
         np.swapaxes(dense, -1, -2) @ dZ),
    ):  # fmt: skip
        assert product is out
        np.testing.assert_allclose(product, expected, rtol=tolerance, atol=tolerance)


def test_a_product_with_sparse_rows_never_fills_them():
    where = np.arange(200), np.arange(200) * 250  # a number in each row
    X = scipy.sparse.csr_array((np.ones(200), where), shape=(200, 50_000))
    block = SparseRows(X, np.float64, np.ones((1, 50_000))).take(slice(None))
    W, Z, dW = np.ones((50_000, 2)), np.empty((200, 2)), np.empty((50_000, 2))
    block.times(W, Z)
    peak = peak_of(lambda: (block.times(W, Z), block.transposed_times(Z, dW)))
    assert peak < 4e6  # filled, the rows have 80 MB


def test_rows_of_what_gives_rows_are_that_itself():
    for rows in (
        DenseRows(np.ones((2, 3)), np.float64),
        SparseRows(scipy.sparse.eye_array(3).tocsr(), float),
    ):
        assert as_rows(rows, np.float32) is rows
    assert isinstance(as_rows(np.ones((2, 3)), np.float32), DenseRows)
    for kind in ("csr_array", "csr_matrix"):
        X = getattr(scipy.sparse, kind)(np.eye(3))
        assert isinstance(as_rows(X, np.float32), SparseRows)


# --- Labels -----------------------------------------------------------------------------------

LABELS = np.array([2, 0, 1, 1, 2, 0, 0, 2, 1, 0])


@choices
@dtypes
@pytest.mark.parametrize("values", [(0.0, 1.0), (0.05, 0.9)])
def test_labels_become_rows_of_a_table_as_they_are_taken(choice, dtype, values):
    chosen, values = CHOSEN[choice], np.array(values, dtype)
    table = np.where(np.eye(3)[LABELS] == 1, values[1], values[0])
    rows = OneHot(LABELS, 3, values)
    assert (rows.shape, rows.dtype, len(rows)) == ((10, 3), dtype, 10)
    room = np.full((12, 3), np.nan, dtype)
    taken = rows.take(chosen, room)
    np.testing.assert_array_equal(taken, table[chosen])
    assert taken.dtype == dtype
    assert np.isnan(room[len(taken) :]).all()
    np.testing.assert_array_equal(np.asarray(rows), table)
    np.testing.assert_array_equal(np.asarray(rows[chosen]), table[chosen])
    np.testing.assert_array_equal(rows.astype(np.float32).values, values.astype(np.float32))
    np.testing.assert_array_equal(np.asarray(OneHot.join([rows, rows[:2]])), [*table, *table[:2]])


def test_a_table_of_labels_is_always_made_anew():
    rows = OneHot(LABELS, 3, np.array([0.0, 1.0]))
    assert np.array(rows, dtype=np.float32).dtype == np.float32
    with pytest.raises(ValueError, match=r"made anew\.$"):
        np.array(rows, copy=False)


@pytest.mark.parametrize("stack", [(), (2,)])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("subset", [False, True])
def test_labels_train_bit_for_bit_like_their_table(stack, shuffle, subset):
    X, labels = some_zeros(), np.random.default_rng(4).integers(0, 2, 30)
    own = [np.arange(20), np.arange(29, 10, -1)] if stack else np.arange(20)
    ends = []
    for Y in (np.eye(2)[labels], OneHot(labels, 2, np.array([0.0, 1.0]))):
        network = small_network(stack=stack)
        streams = streams_of(*range(1, 2 + len(stack))) if shuffle else ()
        batches = Batches(X, Y, batch_size=7, streams=streams, rows=own if subset else None)
        fit(learner_of(network, loss=SoftmaxLogLoss(), learning_rate=0.5), batches, 3)
        ends.append(numbers(network))
    np.testing.assert_array_equal(*ends)


# --- Training ---------------------------------------------------------------------------------


def trained_on(X, dtype=np.float64, **settings):
    """Return all numbers of a network after some epochs on X."""
    Y, weights = (array.astype(dtype) for array in problem(n_rows=30)[1:])
    network = small_network(dtype=dtype)
    batches = Batches(X, Y, weights, batch_size=7, streams=streams_of(3), **settings)
    fit(learner_of(network, optimizer=Adam(), learning_rate=0.01, l2=0.1), batches, 3)
    return numbers(network)


@dtypes
@pytest.mark.parametrize("kind", ["csr_array", "csr_matrix"])
@pytest.mark.parametrize("shifted", [False, True])
def test_sparse_rows_train_like_dense_ones(dtype, kind, shifted):
    X, shift = some_zeros(), np.array([[0.5, 0.0, -2.0]])
    sparse = SparseRows(getattr(scipy.sparse, kind)(X), dtype, shift if shifted else None)
    expected = trained_on((X + shift if shifted else X).astype(dtype), dtype)
    tolerance = 1e-3 if dtype == np.float32 else 1e-9
    np.testing.assert_allclose(trained_on(sparse, dtype), expected, rtol=tolerance, atol=tolerance)


@dtypes
@pytest.mark.parametrize("subset", [False, True])
@pytest.mark.parametrize("stored", ["float32", "float64"])
def test_memory_mapped_rows_train_bit_for_bit_like_arrays(dtype, subset, stored, tmp_path):
    X = some_zeros().astype(stored)
    X.tofile(tmp_path / "X")
    mapped = np.memmap(tmp_path / "X", stored, "r", shape=X.shape)
    settings = {"rows": np.arange(4, 29)} if subset else {}
    expected = trained_on(X.astype(dtype), dtype, **settings)
    np.testing.assert_array_equal(trained_on(mapped, dtype, **settings), expected)


@dtypes
def test_converted_rows_train_bit_for_bit_like_what_they_become(dtype):
    X = some_zeros()

    def convert(rows, out):
        np.copyto(out, rows, casting="same_kind")
        out -= 1
        out *= 0.5
        return out

    expected = convert(X, np.empty(X.shape, dtype))
    rows = DenseRows(X, dtype, convert)
    np.testing.assert_array_equal(trained_on(rows, dtype), trained_on(expected, dtype))


@pytest.mark.parametrize("sparse", [False, True])
def test_rows_survive_a_pickle(sparse):
    rows = as_rows(scipy.sparse.csr_array(some_zeros()) if sparse else some_zeros(), np.float32)
    other = pickle.loads(pickle.dumps(rows))
    room = np.empty((30, 3), np.float32)
    first, second = (filled(r.take(slice(None), room.copy())) for r in (rows, other))
    np.testing.assert_array_equal(first, second)
