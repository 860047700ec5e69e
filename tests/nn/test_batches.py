import pickle
from collections import deque
from functools import partial

import numpy as np
import pytest
import scipy.sparse

from skscratch.nn import Batch, Batches, DenseRows, SparseBlock
from skscratch.nn.batches import batch_starts

from .checks import filled, peak_of, streams_of

N = 23


def numbered(n_samples=N, dtype=np.float64):
    """Rows that carry their number in X, Y and weights."""
    number = np.arange(n_samples, dtype=dtype)[:, np.newaxis]
    return np.hstack([number, -number, number**2]), number, number.copy()


def epoch(batches):
    """Copy out an epoch: buffers are overwritten by the next batch."""
    copied = []
    for X, Y, weights, counts in batches:
        weights = None if weights is None else np.array(weights)
        copied.append(Batch(np.array(filled(X)), np.array(Y), weights, counts))
    return copied


def order_of(batches):
    return np.concatenate([batch.Y[:, 0] for batch in epoch(batches)]).astype(int).tolist()


def assert_rows_belong_together(batches):
    for batch in epoch(batches):
        X, number, weights, counts = batch
        np.testing.assert_array_equal(X, np.hstack([number, -number, number**2]))
        np.testing.assert_array_equal(weights, number)
        assert counts is None
        assert batch.n_rows == len(number)


@pytest.mark.parametrize("batch_size", [1, 5, 22, 23, 24, None])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("subset", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_each_row_comes_exactly_once_per_epoch(batch_size, shuffle, subset, dtype):
    rows = np.random.default_rng(0).permutation(N)[:17] if subset else None
    data = numbered(dtype=dtype)
    batches = Batches(
        *data, batch_size=batch_size, streams=streams_of(1) if shuffle else (), rows=rows
    )
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
        batches = Batches(
            *numbered(), batch_size=batch_size, streams=streams_of(2), join_single=join_single
        )
        made.append([epoch(batches) for _ in range(2)])
    for one_by_one, several in zip(*made, strict=True):
        assert len(one_by_one) == len(several)
        for expected, found in zip(one_by_one, several, strict=True):
            for left, right in zip(expected, found, strict=True):
                np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("shuffle", [False, True])
def test_all_batches_are_full_but_the_last(shuffle):
    batches = Batches(*numbered(), batch_size=5, streams=streams_of(2) if shuffle else ())
    assert batches.batch_size == 5
    for _ in range(2):
        sizes = [(*map(len, batch[:3]), batch.n_rows) for batch in epoch(batches)]
        assert sizes == [(5, 5, 5, 5)] * 4 + [(3, 3, 3, 3)]


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
        streams=streams_of(14) if shuffle else (),
        rows=np.arange(N) if gathered == "rows" else None,
        join_single=join_single,
    )
    for _ in range(2):
        assert [len(batch.Y) for batch in epoch(batches)] == sizes
        assert sorted(order_of(batches)) == list(range(N))
        assert_rows_belong_together(batches)
    assert batches.largest == max(sizes)
    assert len(batches) == len(sizes)


def test_a_single_row_is_a_batch_if_there_is_no_other():
    batches = Batches(*numbered(1), batch_size=5, join_single=True)
    assert [len(batch.Y) for batch in epoch(batches)] == [1]
    assert (len(batches), batches.largest) == (1, 1)


@pytest.mark.parametrize(("batch_size", "expected"), [(None, N), (100, N), (N, N), (7, 7)])
def test_batch_size_is_at_most_the_number_of_rows(batch_size, expected):
    assert Batches(*numbered(), batch_size=batch_size).batch_size == expected


def test_order_changes_between_epochs():
    batches = Batches(*numbered(), batch_size=5, streams=streams_of(3))
    orders = [tuple(order_of(batches)) for _ in range(4)]
    assert len(set(orders)) == 4
    assert tuple(range(N)) not in orders


@pytest.mark.parametrize("subset", [False, True])
def test_same_seed_same_orders(subset):
    rows = np.arange(0, N, 2) if subset else None
    runs = []
    for seed in (4, 4, 5):
        batches = Batches(*numbered(), batch_size=5, streams=streams_of(seed), rows=rows)
        runs.append([order_of(batches) for _ in range(3)])
    assert runs[0] == runs[1] != runs[2]


def test_every_order_is_as_likely_as_any_other():
    batches = Batches(*numbered(3), batch_size=1, streams=streams_of(6))
    orders = [tuple(order_of(batches)) for _ in range(1200)]
    counts = [orders.count(order) for order in set(orders)]
    assert len(counts) == 6
    assert min(counts) > 140  # 200 expected, with a standard deviation of 13


@pytest.mark.parametrize(
    ("batch_size", "shuffle"), [(None, False), (None, True), (100, True), (5, False)]
)
def test_nothing_is_copied_when_the_batch_is_everything_or_rows_come_in_order(batch_size, shuffle):
    data = numbered()
    streams = streams_of(7) if shuffle else ()
    for batch in Batches(*data, batch_size=batch_size, streams=streams):
        for picked, array in zip(batch[:3], data, strict=True):
            assert np.shares_memory(picked, array)


def test_gathered_batches_reuse_their_buffers_and_never_touch_the_data():
    data = numbered()
    batches = Batches(*data, batch_size=5, streams=streams_of(8))
    epochs = [list(batches) for _ in range(3)]
    for batch in epochs[0]:
        for picked, array in zip(batch[:3], data, strict=True):
            assert not np.shares_memory(picked, array)
    for later in epochs[1:]:
        for firsts, batch in zip(epochs[0], later, strict=True):
            for first, picked in zip(firsts[:3], batch[:3], strict=True):
                assert np.shares_memory(first, picked)


def test_each_output_may_have_weights():
    X, Y, number = numbered()
    weights = np.hstack([number, 10 * number])
    for streams in ((), streams_of(14)):
        for batch in epoch(Batches(X, Y, weights, batch_size=5, streams=streams)):
            np.testing.assert_array_equal(batch.weights, batch.Y * [1, 10])


def test_weights_may_be_missing():
    X, Y, _ = numbered()
    assert all(batch.weights is None for batch in epoch(Batches(X, Y, batch_size=5)))


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("batch_size", [None, 5])
def test_inputs_of_another_dtype_are_converted_batch_by_batch(batch_size, shuffle):
    X, Y, weights = numbered()
    batches = Batches(
        X,
        Y.astype(np.float32),
        weights.astype(np.float32),
        batch_size=batch_size,
        streams=streams_of(9) if shuffle else (),
    )
    dtypes = {array.dtype for batch in epoch(batches) for array in batch[:3]}
    assert dtypes == {np.dtype(np.float32)}
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
        streams=streams_of(10) if shuffle else (),
        rows=np.arange(3, 20) if subset else None,
    )
    assert_rows_belong_together(batches)
    assert {batch.X.dtype for batch in epoch(batches)} == {np.dtype(float)}
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
        streams=streams_of(11) if shuffle else (),
        rows=np.arange(3, 20) if subset else None,
    )
    assert all(isinstance(batch.X, SparseBlock) for batch in batches)
    assert_rows_belong_together(batches)
    assert sorted(order_of(batches)) == list(range(3, 20) if subset else range(N))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("batch_size", [None, 5])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("subset", [False, True])
def test_rows_are_converted_as_they_are_gathered(dtype, batch_size, shuffle, subset):
    X, Y, weights = numbered()
    doubled = DenseRows(X / 2, dtype, lambda rows, out: np.multiply(rows, 2, out=out))
    batches = Batches(
        doubled,
        Y.astype(dtype),
        weights.astype(dtype),
        batch_size=batch_size,
        streams=streams_of(12) if shuffle else (),
        rows=np.arange(3, 20) if subset else None,
    )
    for _ in range(2):
        assert_rows_belong_together(batches)
        assert {batch.X.dtype for batch in epoch(batches)} == {np.dtype(dtype)}
        assert sorted(order_of(batches)) == list(range(3, 20) if subset else range(N))


def peak_of_an_epoch(batches):
    """Peak allocation of an epoch after the first."""
    run = partial(deque, batches, maxlen=0)
    run()
    return peak_of(run)


def test_gathering_allocates_no_more_than_the_order():
    X, Y = np.zeros((500, 1000)), np.zeros((500, 10))
    batches = Batches(X, Y, np.ones((500, 1)), batch_size=100, streams=streams_of(12))
    assert peak_of_an_epoch(batches) < 20_000  # a batch of X has 800,000 bytes


@pytest.mark.parametrize("layout", ["fortran", "strided"])
def test_gathering_never_copies_all_of_an_array_in_another_layout(layout):
    """Data frames and column selections arrive like that, and memory maps must stay on disk."""
    X = np.zeros((2000, 100), order="F") if layout == "fortran" else np.zeros((2000, 200))[:, ::2]
    batches = Batches(X, np.zeros((2000, 1)), batch_size=20, streams=streams_of(13))
    assert peak_of_an_epoch(batches) < X.nbytes / 10


# --- Networks side by side ------------------------------------------------------------------

OWN_ROWS = [np.arange(3, 19), np.arange(22, 4, -1), np.arange(0, 22, 1)[:17]]
"""Of three networks: 16, 18 and 17 of 23 rows, which are three batches of 6 for each."""


def assert_like_networks_alone(batches, alone):
    """Compare the batches of networks side by side with those of each."""
    for together, *own in zip(epoch(batches), *map(epoch, alone), strict=True):
        for k, batch in enumerate(own):
            n = len(batch.Y)
            assert np.ravel(together.n_rows)[k if np.ndim(together.n_rows) else 0] == n
            np.testing.assert_array_equal(together.X[k, :n], batch.X)
            np.testing.assert_array_equal(together.Y[k, :n], batch.Y)
            n_all = together.Y.shape[1]
            if together.weights is not None:
                expected = np.ones((n, 1)) if batch.weights is None else batch.weights
                np.testing.assert_allclose(together.weights[k, :n], expected * n_all / n)
                np.testing.assert_array_equal(together.weights[k, n:], 0)
            else:
                assert batch.weights is None
                assert n == n_all


@pytest.mark.parametrize("kind", ["dense", "other dtype", "converted", "sparse"])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("weighting", [None, "rows", "outputs", "own", "own outputs"])
@pytest.mark.parametrize("n_elements", [1, 2000])
def test_each_network_may_have_rows_an_order_and_weights_of_its_own(
    kind, shuffle, weighting, n_elements, monkeypatch
):
    monkeypatch.setattr("skscratch.nn.batches._GATHERED_ELEMENTS", n_elements)
    X, Y, _ = numbered()
    X = {
        "dense": X,
        "other dtype": X.astype(np.float32),
        "converted": DenseRows(X, Y.dtype, lambda rows, out: np.multiply(rows, 2, out=out)),
        "sparse": scipy.sparse.csr_array(X),
    }[kind]
    n_columns = 2 if weighting in ("outputs", "own outputs") else 1
    own = weighting in ("own", "own outputs")
    weights = np.random.default_rng(0).uniform(1, 2, (3, N, n_columns))
    weights = None if weighting is None else weights if own else weights[0]

    def batches(weights, seeds, rows):
        streams = streams_of(*seeds) if shuffle else ()
        return Batches(X, Y, weights, batch_size=6, streams=streams, rows=rows)

    together = batches(weights, (1, 2, 3), OWN_ROWS)
    alone = [batches(weights[k] if own else weights, (k + 1,), OWN_ROWS[k]) for k in range(3)]
    assert (together.n_samples, together.largest, len(together)) == (18, 6, 3)
    for _ in range(2):
        assert_like_networks_alone(together, alone)


@pytest.mark.parametrize("own_weights", [False, True])
@pytest.mark.parametrize("subset", [False, True])
def test_networks_may_share_the_rows_but_not_the_order(own_weights, subset):
    X, Y, weights = numbered()
    weights = np.stack([weights, weights + 1]) if own_weights else weights
    rows = np.arange(4, 20) if subset else None
    together = Batches(X, Y, weights, batch_size=5, streams=streams_of(1, 2), rows=rows)
    alone = [
        Batches(
            X, Y, weights[k] if own_weights else weights, batch_size=5,
            streams=streams_of(k + 1), rows=rows,
        )
        for k in range(2)
    ]  # fmt: skip
    for _ in range(2):
        assert_like_networks_alone(together, alone)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("subset", [False, True])
def test_networks_may_share_rows_and_order_but_not_the_weights(shuffle, subset):
    X, Y, weights = numbered()
    weights = np.stack([weights, 2 * weights])
    rows = np.arange(4, 20) if subset else None
    streams = streams_of(1) if shuffle else ()
    for batch in epoch(Batches(X, Y, weights, batch_size=5, streams=streams, rows=rows)):
        assert batch.Y.ndim == batch.X.ndim == 2
        np.testing.assert_array_equal(batch.weights, [batch.Y, 2 * batch.Y])


def test_weights_of_rows_that_fill_up_are_0_and_the_loss_is_the_mean_of_those_that_count():
    X, Y, _ = numbered()
    *_, last = epoch(Batches(X, Y, batch_size=6, rows=OWN_ROWS))
    assert last.n_rows.tolist() == [[4], [6], [5]]
    np.testing.assert_allclose(last.weights.sum(axis=1), 6)
    np.testing.assert_array_equal(last.weights[0, :, 0], [1.5] * 4 + [0] * 2)


@pytest.mark.parametrize("batch_size", [None, 30])
def test_a_single_batch_is_not_shuffled_and_may_have_unequal_rows(batch_size):
    X, Y, _ = numbered()
    streams = streams_of(1, 2, 3)
    (batch,) = Batches(X, Y, batch_size=batch_size, streams=streams, rows=OWN_ROWS)
    for k, rows in enumerate(OWN_ROWS):
        np.testing.assert_array_equal(batch.Y[k, : len(rows), 0], rows)
    assert batch.n_rows.tolist() == [[16], [18], [17]]
    state = np.random.default_rng(1).bit_generator.state
    assert streams[0].bit_generator.state == state


def test_networks_need_as_many_batches_each():
    X, Y, _ = numbered()
    message = (
        r"^Networks side by side need as many batches each, got \[12, 13\] rows in batches of 6\.$"
    )
    with pytest.raises(ValueError, match=message):
        Batches(X, Y, batch_size=6, rows=[np.arange(13), np.arange(12)])
    # With the last row joined to the batch before, these have two each.
    joined = Batches(X, Y, batch_size=6, rows=[np.arange(13), np.arange(12)], join_single=True)
    assert [batch.Y.shape[1] for batch in joined] == [6, 7]


@pytest.mark.parametrize(
    ("n_rows", "join_single", "starts"),
    [(0, False, []), (1, True, [0]), (5, True, [0]), (6, True, [0]), (6, False, [0, 5]),
     (7, True, [0, 5]), (11, True, [0, 5])],
)  # fmt: skip
def test_where_batches_of_5_start(n_rows, join_single, starts):
    assert batch_starts(n_rows, 5, join_single) == starts


def test_gathering_for_networks_side_by_side_allocates_no_more_than_the_orders():
    X, Y = np.zeros((500, 1000)), np.zeros((500, 10))
    rows = [np.arange(500)] * 2
    batches = Batches(X, Y, np.ones((500, 1)), batch_size=100, streams=streams_of(1, 2), rows=rows)
    assert peak_of_an_epoch(batches) < 40_000


def test_a_pickle_goes_on_with_the_same_orders():
    batches = Batches(*numbered(), batch_size=5, streams=streams_of(1))
    order_of(batches)
    duplicate = pickle.loads(pickle.dumps(batches))
    assert [order_of(duplicate) for _ in range(2)] == [order_of(batches) for _ in range(2)]
