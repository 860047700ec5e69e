import tracemalloc

import numpy as np
import pytest
import scipy.sparse

from skscratch.nn import Batches, OneHot

N = 23


def numbered(n_samples=N, dtype=np.float64):
    """Rows that carry their number in X, Y and weights."""
    number = np.arange(n_samples)
    X = np.column_stack([number, -number, number**2]).astype(dtype)
    return X, number[:, np.newaxis].astype(dtype), number.astype(dtype)


def epoch(batches):
    """Copy out an epoch: buffers are overwritten by the next batch."""
    copied = []
    for X, Y, weights in batches:
        X = X.toarray() if scipy.sparse.issparse(X) else X
        copied.append((np.array(X), np.array(Y), None if weights is None else np.array(weights)))
    return copied


def order_of(batches):
    return np.concatenate([Y[:, 0] for _, Y, _ in epoch(batches)]).astype(int).tolist()


def assert_rows_belong_together(batches):
    for X, Y, weights in epoch(batches):
        number = Y[:, 0]
        np.testing.assert_array_equal(X, np.column_stack([number, -number, number**2]))
        np.testing.assert_array_equal(weights, number)


@pytest.mark.parametrize("batch_size", [1, 5, 22, 23, 24, None])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("subset", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_each_row_comes_exactly_once_per_epoch(batch_size, shuffle, subset, dtype):
    rows = np.random.default_rng(0).permutation(N)[:17] if subset else None
    rng = np.random.default_rng(1) if shuffle else None
    data = numbered(dtype=dtype)
    batches = Batches(*data, batch_size=batch_size, rng=rng, rows=rows)
    expected = list(range(N)) if rows is None else rows.tolist()
    assert batches.n_samples == len(expected)
    for _ in range(3):
        order = order_of(batches)
        assert sorted(order) == sorted(expected)
        assert shuffle or order == expected
        assert_rows_belong_together(batches)
    for array, original in zip(data, numbered(dtype=dtype), strict=True):
        np.testing.assert_array_equal(array, original)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 11, 22, 23])
@pytest.mark.parametrize("join_single", [False, True])
@pytest.mark.parametrize("n_elements", [1, 3 * 4, 3 * 10, 3 * 1000])
def test_it_makes_no_difference_how_many_batches_are_gathered_at_once(
    monkeypatch, batch_size, join_single, n_elements
):
    made = []
    for limit in (0, n_elements):
        monkeypatch.setattr("skscratch.nn.batches._GATHERED_ELEMENTS", limit)
        rng = np.random.default_rng(2)
        batches = Batches(*numbered(), batch_size=batch_size, rng=rng, join_single=join_single)
        made.append([epoch(batches) for _ in range(2)])
    for one_by_one, several in zip(*made, strict=True):
        assert len(one_by_one) == len(several)
        for expected, found in zip(one_by_one, several, strict=True):
            for left, right in zip(expected, found, strict=True):
                np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("shuffle", [False, True])
def test_all_batches_are_full_but_the_last(shuffle):
    rng = np.random.default_rng(2) if shuffle else None
    batches = Batches(*numbered(), batch_size=5, rng=rng)
    assert batches.batch_size == 5
    for _ in range(2):
        sizes = [(len(X), len(Y), len(weights)) for X, Y, weights in epoch(batches)]
        assert sizes == [(5, 5, 5)] * 4 + [(3, 3, 3)]


# 23 rows: those of a last batch of one join the batch before it, if there is one.
@pytest.mark.parametrize(
    ("batch_size", "join_single", "sizes"),
    [
        (11, False, [11, 11, 1]),
        (11, True, [11, 12]),
        (22, True, [23]),
        (2, True, [2] * 10 + [3]),
        (1, True, [1] * 21 + [2]),
        (7, True, [7, 7, 7, 2]),
        (23, True, [23]),
        (None, True, [23]),
    ],
)
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("gathered", ["dtype", "rows", "as it is"])
def test_a_last_batch_of_one_row_may_join_the_one_before_it(
    batch_size, join_single, sizes, shuffle, gathered
):
    X, Y, weights = numbered()
    batches = Batches(
        X.astype(np.float32) if gathered == "dtype" else X,
        Y,
        weights,
        batch_size=batch_size,
        rng=np.random.default_rng(14) if shuffle else None,
        rows=np.arange(N) if gathered == "rows" else None,
        join_single=join_single,
    )
    for _ in range(2):
        assert [len(Y) for _, Y, _ in epoch(batches)] == sizes
        assert sorted(order_of(batches)) == list(range(N))
        assert_rows_belong_together(batches)
    assert batches.largest == max(sizes)
    assert len(batches) == len(sizes)


def test_a_single_row_is_a_batch_if_there_is_no_other():
    batches = Batches(*numbered(1), batch_size=5, join_single=True)
    assert [len(Y) for _, Y, _ in epoch(batches)] == [1]
    assert (len(batches), batches.largest) == (1, 1)


@pytest.mark.parametrize(("batch_size", "expected"), [(None, N), (100, N), (N, N), (7, 7)])
def test_batch_size_is_at_most_the_number_of_rows(batch_size, expected):
    assert Batches(*numbered(), batch_size=batch_size).batch_size == expected


def test_order_changes_between_epochs():
    batches = Batches(*numbered(), batch_size=5, rng=np.random.default_rng(3))
    orders = [tuple(order_of(batches)) for _ in range(4)]
    assert len(set(orders)) == 4
    assert tuple(range(N)) not in orders


@pytest.mark.parametrize("subset", [False, True])
def test_same_seed_same_orders(subset):
    rows = np.arange(0, N, 2) if subset else None
    runs = []
    for seed in (4, 4, 5):
        rng = np.random.default_rng(seed)
        batches = Batches(*numbered(), batch_size=5, rng=rng, rows=rows)
        runs.append([order_of(batches) for _ in range(3)])
    assert runs[0] == runs[1] != runs[2]


def test_every_order_is_as_likely_as_any_other():
    batches = Batches(*numbered(3), batch_size=1, rng=np.random.default_rng(6))
    orders = [tuple(order_of(batches)) for _ in range(1200)]
    counts = [orders.count(order) for order in set(orders)]
    assert len(counts) == 6
    assert min(counts) > 140  # 200 expected, with a standard deviation of 13


@pytest.mark.parametrize(
    ("batch_size", "shuffle"), [(None, False), (None, True), (100, True), (5, False)]
)
def test_nothing_is_copied_when_the_batch_is_everything_or_rows_come_in_order(batch_size, shuffle):
    data = numbered()
    rng = np.random.default_rng(7) if shuffle else None
    for batch in Batches(*data, batch_size=batch_size, rng=rng):
        for picked, array in zip(batch, data, strict=True):
            assert np.shares_memory(picked, array)


def test_gathered_batches_reuse_their_buffers_and_never_touch_the_data():
    data = numbered()
    batches = Batches(*data, batch_size=5, rng=np.random.default_rng(8))
    epochs = [list(batches) for _ in range(3)]
    for batch in epochs[0]:
        for picked, array in zip(batch, data, strict=True):
            assert not np.shares_memory(picked, array)
    for later in epochs[1:]:
        for firsts, batch in zip(epochs[0], later, strict=True):
            for first, picked in zip(firsts, batch, strict=True):
                assert np.shares_memory(first, picked)


def test_each_output_may_have_weights():
    X, Y, number = numbered()
    weights = np.column_stack([number, 10 * number])
    for shuffle in (False, True):
        rng = np.random.default_rng(14) if shuffle else None
        for _, targets, picked in epoch(Batches(X, Y, weights, batch_size=5, rng=rng)):
            np.testing.assert_array_equal(picked, targets * [1, 10])


def test_weights_may_be_missing():
    X, Y, _ = numbered()
    assert all(weights is None for _, _, weights in epoch(Batches(X, Y, batch_size=5)))


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("batch_size", [None, 5])
def test_inputs_of_another_dtype_are_converted_batch_by_batch(batch_size, shuffle):
    X, Y, weights = numbered()
    rng = np.random.default_rng(9) if shuffle else None
    batches = Batches(
        X, Y.astype(np.float32), weights.astype(np.float32), batch_size=batch_size, rng=rng
    )
    assert {array.dtype for batch in epoch(batches) for array in batch} == {np.dtype(np.float32)}
    assert sorted(order_of(batches)) == list(range(N))
    assert_rows_belong_together(batches)
    assert X.dtype == np.float64


@pytest.mark.parametrize("stored", ["float32", "float64", "int16"])
@pytest.mark.parametrize("batch_size", [None, 5])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("subset", [False, True])
def test_memory_maps(tmp_path, stored, batch_size, shuffle, subset):
    X, Y, weights = numbered()
    path = tmp_path / "X"
    X.astype(stored).tofile(path)
    mapped = np.memmap(path, stored, mode="r", shape=X.shape)
    batches = Batches(
        mapped,
        Y,
        weights,
        batch_size=batch_size,
        rng=np.random.default_rng(10) if shuffle else None,
        rows=np.arange(3, 20) if subset else None,
    )
    assert_rows_belong_together(batches)
    assert {X.dtype for X, _, _ in epoch(batches)} == {np.dtype(float)}
    assert sorted(order_of(batches)) == list(range(3, 20) if subset else range(N))


@pytest.mark.parametrize("kind", ["csr_array", "csr_matrix"])
@pytest.mark.parametrize("batch_size", [None, 5])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("subset", [False, True])
def test_sparse_rows(kind, batch_size, shuffle, subset):
    X, Y, weights = numbered()
    batches = Batches(
        getattr(scipy.sparse, kind)(X),
        Y,
        weights,
        batch_size=batch_size,
        rng=np.random.default_rng(11) if shuffle else None,
        rows=np.arange(3, 20) if subset else None,
    )
    assert all(scipy.sparse.issparse(X) and X.format == "csr" for X, _, _ in batches)
    assert_rows_belong_together(batches)
    assert sorted(order_of(batches)) == list(range(3, 20) if subset else range(N))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("batch_size", [None, 5])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("subset", [False, True])
def test_rows_are_prepared_as_they_are_gathered(dtype, batch_size, shuffle, subset):
    X, Y, weights = numbered()
    batches = Batches(
        X / 2,
        Y.astype(dtype),
        weights.astype(dtype),
        batch_size=batch_size,
        rng=np.random.default_rng(12) if shuffle else None,
        rows=np.arange(3, 20) if subset else None,
        prepare=lambda rows, out: np.multiply(rows, 2, out=out),
    )
    for _ in range(2):
        assert_rows_belong_together(batches)
        assert {X.dtype for X, _, _ in epoch(batches)} == {np.dtype(dtype)}
        assert sorted(order_of(batches)) == list(range(3, 20) if subset else range(N))


def peak_of_an_epoch(batches):
    """Peak allocation of an epoch after the first."""
    for _ in batches:
        pass
    tracemalloc.start()
    try:
        for _ in batches:
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_gathering_allocates_no_more_than_the_order():
    X, Y = np.zeros((500, 1000)), np.zeros((500, 10))
    batches = Batches(X, Y, np.ones(500), batch_size=100, rng=np.random.default_rng(12))
    assert peak_of_an_epoch(batches) < 20_000  # a batch of X has 800,000 bytes


@pytest.mark.parametrize("layout", ["fortran", "strided"])
def test_gathering_never_copies_all_of_an_array_in_another_layout(layout):
    """Data frames and column selections arrive like that, and memory maps must stay on disk."""
    X = np.zeros((2000, 100), order="F") if layout == "fortran" else np.zeros((2000, 200))[:, ::2]
    batches = Batches(X, np.zeros((2000, 1)), batch_size=20, rng=np.random.default_rng(13))
    assert peak_of_an_epoch(batches) < X.nbytes / 10


# Labels in place of a table -------------------------------------------------------------------


def a_one_hot(dtype=np.float32, values=(0, 1), n_samples=N):
    labels = np.random.default_rng(14).integers(5, size=n_samples)
    off, on = np.array(values, dtype)
    table = np.full((n_samples, 5), off)
    table[np.arange(n_samples), labels] = on
    return OneHot(labels, 5, np.array(values, dtype)), table


@pytest.mark.parametrize("values", [(0, 1), (0.02, 0.92)])
def test_a_one_hot_is_taken_from_like_its_table(values):
    Y, table = a_one_hot(values=values)
    assert Y.shape == table.shape
    assert len(Y) == N
    assert Y.dtype == table.dtype
    for rows in (slice(None), slice(3, 9), np.array([4, 4, 0]), table[:, 2] > 0.5, slice(5, 5)):
        np.testing.assert_array_equal(np.asarray(Y[rows]), table[rows])
    np.testing.assert_array_equal(np.asarray(Y.astype(np.float64)), table.astype(np.float64))
    np.testing.assert_array_equal(np.asarray(Y, np.float64), table.astype(np.float64))
    np.testing.assert_array_equal(
        np.asarray(OneHot.join([Y[:4], Y[10:]])), np.vstack([table[:4], table[10:]])
    )
    with pytest.raises(ValueError, match="always made anew"):
        np.array(Y, copy=False)


@pytest.mark.parametrize("batch_size", [4, 11, N, None])
@pytest.mark.parametrize("rows", [None, np.arange(3, 20)], ids=["all", "some"])
@pytest.mark.parametrize("shuffled", [True, False])
@pytest.mark.parametrize("n_features", [3, 4000], ids=["several at once", "one at a time"])
def test_batches_of_a_one_hot_are_those_of_its_table(batch_size, rows, shuffled, n_features):
    X = np.random.default_rng(15).normal(size=(N, n_features)).astype(np.float32)
    of_labels, of_table = (
        Batches(
            X,
            Y,
            batch_size=batch_size,
            rows=rows,
            rng=np.random.default_rng(16) if shuffled else None,
            join_single=True,
        )
        for Y in a_one_hot()
    )
    for _ in range(2):
        for one, other in zip(epoch(of_labels), epoch(of_table), strict=True):
            np.testing.assert_array_equal(one[0], other[0])
            np.testing.assert_array_equal(one[1], other[1])
            assert one[1].dtype == np.float32


def test_an_epoch_of_a_one_hot_allocates_no_table():
    Y = OneHot(np.arange(2000) % 500, 500, np.array([0.0, 1.0]))
    batches = Batches(np.zeros((2000, 3)), Y, batch_size=20, rng=np.random.default_rng(17))
    assert peak_of_an_epoch(batches) < 40_000  # the table has 8 MB, a batch of it 80,000 bytes
