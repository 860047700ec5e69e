"""X in every form: frames, sparse matrices, memory maps, any layout and dtype."""

import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from sklearn.preprocessing import StandardScaler

from skscratch.nn import Network

from ..conftest import BOTH, assert_same_weights, classifier, output, regressor, weights_of

both = pytest.mark.parametrize(("make", "data"), BOTH)


@both
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_equal_arrays_and_lend_their_names(make, data, library):
    X, y = data()
    names = [f"feature {i}" for i in range(X.shape[1])]
    if library == "pandas":
        frame, target = pd.DataFrame(X, columns=names), pd.Series(y)
    else:
        frame, target = pl.DataFrame(X, schema=names), pl.Series(y)
    plain, estimator = make().fit(X, y), make().fit(frame, target)
    assert_same_weights(estimator, plain)
    np.testing.assert_allclose(output(estimator, frame), output(plain, X), rtol=1e-9)
    assert not hasattr(plain, "feature_names_in_")
    assert estimator.n_features_in_ == plain.n_features_in_ == X.shape[1]
    if not hasattr(StandardScaler().fit(frame), "feature_names_in_"):
        return  # scikit-learn 1.6 does not know the names of recent polars
    assert list(estimator.feature_names_in_) == names
    with pytest.raises(ValueError, match="feature names should match"):
        estimator.predict(frame[names[::-1]])


@both
def test_frames_of_mixed_and_nullable_columns(make, data):
    X, y = data()
    X = np.round(X * 4)
    frame = pd.DataFrame(X).rename(columns=str)
    kinds = dict(zip(frame, ["Int64", "int8", "float32", "Float64"], strict=False))
    assert_same_weights(make().fit(frame.astype(kinds), y), make().fit(X, y))


SPARSE = {
    "CSR": scipy.sparse.csr_matrix,
    "CSC": scipy.sparse.csc_matrix,
    "CSR array": scipy.sparse.csr_array,
    "COO": scipy.sparse.coo_matrix,
    "integer CSR": lambda X: scipy.sparse.csr_matrix(X.astype(int)),
}


@both
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("form", SPARSE.values(), ids=SPARSE)
def test_sparse_equals_dense(make, data, form, early_stopping):
    X, y = data()
    X = np.round(X)
    plain = make(early_stopping=early_stopping).fit(X, y)
    estimator = make(early_stopping=early_stopping).fit(form(X), y)
    np.testing.assert_allclose(weights_of(estimator), weights_of(plain), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(output(plain, form(X)), output(plain, X), rtol=1e-9, atol=1e-9)
    for each, inputs in ((plain, X), (estimator, form(X))):
        each.set_params(early_stopping=False).partial_fit(inputs, y)
    np.testing.assert_allclose(weights_of(estimator), weights_of(plain), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize("form", ["csr", "csc"])
def test_sparse_input_is_never_densified(make, form, monkeypatch):
    # 16 GB as an array.
    rng = np.random.default_rng(0)
    rows, columns = rng.integers(2_000, size=10_000), rng.integers(1_000_000, size=10_000)
    X = scipy.sparse.coo_matrix((rng.random(10_000), (rows, columns)), (2_000, 1_000_000))
    X = X.asformat(form)
    y = np.arange(2_000) % 2
    for cls in (scipy.sparse.csr_matrix, scipy.sparse.csc_matrix):
        for name in ("toarray", "todense"):
            monkeypatch.setattr(cls, name, None)
    for early_stopping in (False, True):
        estimator = make(
            hidden_layer_sizes=(2,),
            batch_size=1_000,
            max_iter=1,
            dtype="float32",
            optimizer="sgd",
            early_stopping=early_stopping,
        ).fit(X, y)
    estimator.set_params(early_stopping=False).partial_fit(X, y)
    assert estimator.predict(X).shape == (2_000,)
    assert np.isfinite(estimator.score(X, y))


def test_sparse_rows_are_predicted_in_blocks(monkeypatch):
    # However wide X is: the network computes with the hidden layers' few columns only.
    X = scipy.sparse.eye(1_000, 200_000, format="csr")
    estimator = classifier(
        hidden_layer_sizes=(4,), max_iter=1, batch_size="full", optimizer="sgd"
    ).fit(X, np.arange(1_000) % 2)
    blocks = []
    forward = Network.forward

    def counting(self, X, workspace):
        blocks.append(X.shape[0])
        return forward(self, X, workspace)

    monkeypatch.setattr(Network, "forward", counting)
    estimator.predict(X)
    assert sum(blocks) == 1_000
    assert len(blocks) < 20


def mapped(path, X):
    """Write X to a file and return a memory map of it."""
    on_disk = np.memmap(path, dtype=X.dtype, mode="w+", shape=X.shape)
    on_disk[...] = X
    on_disk.flush()
    return np.memmap(path, dtype=X.dtype, mode="r", shape=X.shape)


@both
@pytest.mark.parametrize("stored", ["float32", "float64", "int8"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("params", [{}, {"early_stopping": True}, {"shuffle": False}], ids=repr)
def test_memory_maps_equal_arrays(make, data, stored, dtype, params, tmp_path):
    X, y = data()
    X = (X * 20).astype(stored)
    plain = make(dtype=dtype, **params).fit(X, y)
    on_disk = mapped(tmp_path / "X", X)
    estimator = make(dtype=dtype, **params).fit(on_disk, y)
    assert_same_weights(estimator, plain)
    np.testing.assert_array_equal(output(estimator, on_disk), output(plain, X))
    for each, inputs in ((plain, X), (estimator, on_disk)):
        each.set_params(early_stopping=False).partial_fit(inputs, y)
    assert_same_weights(estimator, plain)


@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize("stored", ["float32", "float64", "int8"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_memory_maps_are_never_read_whole(make, stored, dtype, tmp_path):
    rng = np.random.default_rng(0)
    n_features = 1600 // np.dtype(stored).itemsize
    X = mapped(tmp_path / "X", rng.integers(-9, 9, (10_000, n_features)).astype(stored))
    y = np.arange(10_000) % 2
    make(max_iter=1).fit(X[:100], y[:100])  # loads what is imported on first use
    for params in ({}, {"early_stopping": True}, {"shuffle": False}):
        estimator = make(hidden_layer_sizes=(2,), dtype=dtype, max_iter=1, batch_size=100, **params)
        tracemalloc.start()
        estimator.fit(X, y)
        estimator.set_params(early_stopping=False).partial_fit(X, y)
        estimator.predict(X)
        estimator.score(X, y)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < X.nbytes / 3


FORMS = {
    "Fortran order": np.asfortranarray,
    "strided view": lambda X: np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3],
    "reversed view": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
    "big-endian": lambda X: X.astype(X.dtype.newbyteorder(">")),
    "list": lambda X: X.tolist(),
    "float16": lambda X: X.astype(np.float16),
    "float32": lambda X: X.astype(np.float32),
    "integer": lambda X: X.astype(int),
    "uint8 of shifted": lambda X: X.astype(np.int8),
    "object": lambda X: X.astype(object),
}


@both
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_layout_and_dtype_make_no_difference(make, data, form):
    X, y = data()
    X = np.round(X * 4)  # whole numbers, so that every form holds them exactly
    plain, estimator = make().fit(X, y), make().fit(form(X), y)
    assert_same_weights(estimator, plain)
    np.testing.assert_allclose(output(estimator, form(X)), output(plain, X), rtol=1e-10)


@both
def test_boolean_and_read_only_input(make, data):
    X, y = data()
    X, y = X > 0, y.astype(float)
    plain = make().fit(X.astype(float), y)
    assert_same_weights(make().fit(X, y), plain)
    frozen, weights = X.astype(float), np.ones(len(y))
    for array in (frozen, y, weights):
        array.setflags(write=False)
    estimator = make().fit(frozen, y, weights)
    np.testing.assert_allclose(weights_of(estimator), weights_of(plain), rtol=1e-9)
    output(estimator, frozen)


@both
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fit_leaves_the_data_as_they_are(make, data, dtype):
    X, y = data()
    X, weights = np.ascontiguousarray(X, dtype), np.ones(len(y), dtype)
    before = X.copy(), y.copy(), weights.copy()
    make(dtype=dtype, batch_size="full", shuffle=False).fit(X, y, weights).predict(X)
    make(dtype=dtype).fit(X, y, weights)
    for array, copied in zip((X, y, weights), before, strict=True):
        np.testing.assert_array_equal(array, copied)
