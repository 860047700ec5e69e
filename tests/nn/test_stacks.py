"""Networks side by side: whatever they differ in, each is what it would be if trained alone."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import scipy.sparse

from skscratch.nn import (
    OPTIMIZERS,
    Adaptive,
    Batches,
    Constant,
    DenseRows,
    GlorotUniform,
    HeNormal,
    OneCycle,
    Patience,
    Periodic,
    PiecewiseLinear,
    Progress,
    ReLU,
    SoftmaxLogLoss,
    SparseRows,
    SquaredError,
    Tanh,
    fit,
)

from .checks import column, learner_of, mean_one_weights, network_of, numbers, streams_of

K = 3
N, N_IN, N_OUT = 53, 4, 3
BATCH_SIZE = 16
ROWS = [np.random.default_rng(k).permutation(N)[:n] for k, n in enumerate((53, 50, 51))]
"""Rows of their own: four batches for each network, the last one with 5, 2 and 3 rows."""

OWN = {
    "learning_rate": [0.01, 0.03, 0.002],
    "l2": [0.0, 0.1, 1.0],
    "dropout": [0.0, 0.2, 0.5],
    "clip_norm": [1e9, 0.5, 0.1],
    "mean_weight": [1.0, 1.5, 2.5],
    "patience": [3, 1, 6],
}
SHARED = {
    "learning_rate": 0.01, "l2": 0.1, "dropout": 0.3, "clip_norm": 0.5, "mean_weight": 1.5,
    "patience": 2,
}  # fmt: skip


def the_data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, N_IN)) * (rng.random((N, N_IN)) < 0.7)
    labels = (X[:, 0] + X[:, 1] > 0.3).astype(int) + (X[:, 2] > 0.5)
    return X, np.eye(N_OUT)[labels]


X, Y = the_data()
SHIFT = np.array([[0.3, -0.2, 0.0, 0.5]])


@dataclass
class Case:
    """How the networks are trained, and what is each network's own."""

    optimizer: str = "adam"
    rows: str = "dense"
    weights: str = "none"
    schedule: Any = field(default_factory=Constant)
    watches: str = "loss"
    own_rows: bool = True
    dtype: Any = np.float64
    own: Any = tuple(OWN)
    batch_size: int | None = BATCH_SIZE
    architecture: dict = field(default_factory=dict)
    epochs: int = 12
    tol: float = 2e-3
    pace: float = 1.0

    def inputs(self, path):
        """Return the rows, and what prediction is to see of them."""
        if self.rows == "sparse":
            return SparseRows(scipy.sparse.csr_array(X), self.dtype, SHIFT)
        if self.rows == "memory-mapped":
            X.astype(np.float32).tofile(path)
            mapped = np.memmap(path, np.float32, "r", shape=X.shape)
            return DenseRows(mapped, self.dtype, self._convert)
        return X.astype(self.dtype)

    @staticmethod
    def _convert(rows, out):
        np.subtract(rows, 0.25, out=out, casting="same_kind")
        return out

    def all_weights(self):
        """Return the weights: shared by all networks, or of shape (K, ...)."""
        rng = np.random.default_rng(7)
        n_columns = N_OUT if "outputs" in self.weights else 1
        own = np.stack([mean_one_weights(rng, N, n_columns) for _ in range(K)]).astype(self.dtype)
        if self.weights == "none":
            return None
        return own if "own" in self.weights else own[0]


def run(case, members, path):
    """Train some of the networks: side by side if they are several, alone if it is one."""
    several = len(members) > 1

    def number(name):
        if name not in case.own:
            return SHARED[name]
        values = [OWN[name][k] for k in members]
        return column(values) if several else values[0]

    loss = SquaredError() if "outputs" in case.weights else SoftmaxLogLoss()
    sizes, activations = [N_IN, 8, 6, N_OUT], [ReLU(), Tanh()]
    network = network_of(
        sizes, activations, [number("dropout")] * 2, stack=(len(members),) if several else (),
        dtype=case.dtype, **case.architecture,
    )  # fmt: skip
    network.initialize([HeNormal(), GlorotUniform(), None], streams_of(*members))
    rate = number("learning_rate")
    learner = learner_of(
        network, loss=loss, optimizer=OPTIMIZERS[case.optimizer](), schedule=case.schedule,
        learning_rate=rate * case.pace, l2=number("l2"), clip_norm=number("clip_norm"),
        mean_weight=number("mean_weight"), streams=streams_of(*(100 + k for k in members)),
    )  # fmt: skip
    weights, rows = case.all_weights(), None
    if weights is not None and weights.ndim == 3:
        weights = weights[members] if several else weights[members[0]]
    if case.own_rows:
        rows = [ROWS[k] for k in members] if several else ROWS[members[0]]
    inputs = case.inputs(path)
    batches = Batches(
        inputs, Y.astype(case.dtype), weights, batch_size=case.batch_size,
        streams=streams_of(*(200 + k for k in members)), rows=rows,
        join_single=case.architecture.get("normalization") == "batch",
    )  # fmt: skip
    patience = number("patience")
    patience = patience[:, 0] if several and "patience" in case.own else patience

    def validate(network):
        """Judge each network by itself, on all rows."""
        found = []
        for index in np.ndindex(network.stack):
            Z = network.member(index).predict(inputs)
            found.append(np.mean((Z - Y) ** 2))
        found = np.reshape(found, network.stack)[()]
        return found, -found

    progress = Progress(
        patience=Patience(case.tol, patience),
        watches="validation_score" if case.watches == "score" else "loss",
    )
    fit(learner, batches, case.epochs, progress, validate=validate)
    return learner, progress, network.predict(inputs)


def assert_like_alone(case, path, *, rtol=1e-7, atol=1e-9):
    """Train all networks side by side, and compare each with itself trained alone.

    Networks stop by themselves: what a stopped one does while others go on is of no interest.
    """
    # The biases before batch normalization have gradients that are nothing but rounding, which
    # some optimizers make moves of. The running averages follow, a little later.
    numbers_too = case.architecture.get("normalization") != "batch"
    if not numbers_too:
        rtol, atol = max(rtol, 1e-5), max(atol, 1e-6)
    together, progress, predictions = run(case, list(range(K)), path)
    epochs = []
    for k in range(K):
        alone, expected, own_predictions = run(case, [k], path)
        epochs.append(expected.epochs)
        for name in ("loss", "validation_score", "learning_rate", "gradient_norm"):
            ours = [row[name] if np.ndim(row[name]) == 0 else row[name][k] for row in progress.rows]
            np.testing.assert_allclose(
                ours[: expected.epochs], expected.history[name], rtol=rtol, atol=atol
            )
        np.testing.assert_allclose(predictions[k], own_predictions, rtol=rtol, atol=atol)
        if numbers_too:
            np.testing.assert_allclose(
                numbers(together.network)[k], numbers(alone.network), rtol=rtol, atol=atol
            )
        if case.watches == "score":
            assert progress.best.epoch[k] == expected.best.epoch
        spent = progress.patience.spent[k]
        assert spent == (expected.ended == "stalled")
        assert progress.epochs >= expected.epochs
        if np.ndim(progress.clock.plateaus):
            # It counts no more once a network has stalled for good.
            assert progress.clock.plateaus[k, 0] == expected.clock.plateaus
    assert progress.epochs == max(epochs)
    return together, progress, epochs


normalizations = pytest.mark.parametrize("normalization", [None, "batch", "layer"])


# --- In everything ----------------------------------------------------------------------------


@normalizations
@pytest.mark.parametrize("rows", ["dense", "sparse", "memory-mapped"])
@pytest.mark.parametrize("weights", ["none", "rows", "own rows", "outputs", "own outputs"])
def test_networks_that_differ_in_everything(rows, weights, normalization, tmp_path):
    watches = "score" if weights in ("rows", "own rows") else "loss"
    architecture = {"normalization": normalization}
    case = Case(rows=rows, weights=weights, watches=watches, architecture=architecture)
    assert_like_alone(case, tmp_path / "X")


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("schedule", [Adaptive(factor=2.0, minimum=1e-3), OneCycle()], ids=repr)
def test_with_every_optimizer_and_rates_that_change(optimizer, schedule, tmp_path):
    architecture = {"normalization": "layer"}
    case = Case(optimizer, weights="own rows", schedule=schedule, architecture=architecture)
    assert_like_alone(case, tmp_path / "X")


def test_some_stop_early_some_late_and_each_by_its_own_plateaus(tmp_path):
    """Lest the other tests compare networks that all do the same."""
    schedule = Adaptive(factor=2.0, minimum=1e-3)
    case = Case(schedule=schedule, epochs=40, tol=1e-2, architecture={"normalization": "layer"})
    _, progress, epochs = assert_like_alone(case, tmp_path / "X")
    assert len(set(epochs)) == K
    assert len(set(progress.clock.plateaus.ravel().tolist())) > 1
    assert progress.best.epoch.tolist() != [0] * K
    norms = np.array(progress.history["gradient_norm"])
    assert (norms > OWN["clip_norm"]).any(axis=0).tolist() == [False, True, True]


ARCHITECTURES = {
    "periodic": {
        "embedding": Periodic(4, 2), "edges": [*[np.array([-1.0, 1.0])] * 3, np.array([])],
    },
    "piecewise": {
        "embedding": PiecewiseLinear(4, 2),
        "edges": [np.array([-1.0, 0.0, 1.0]), np.array([]), np.array([-2.0, 2.0]), np.array([])],
    },
    "scales": {"learned_scales": True},
    "scaled waves": {
        "learned_scales": True, "embedding": Periodic(4, 2), "edges": [np.array([-1.0, 1.0])] * 4,
        "normalization": "layer",
    },
}  # fmt: skip


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("optimizer", ["momentum", "adamw", "nadam"])
def test_with_an_embedding_or_learned_scales(architecture, optimizer, tmp_path):
    case = Case(optimizer, weights="own rows", architecture=ARCHITECTURES[architecture], pace=0.3)
    assert_like_alone(case, tmp_path / "X", rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("rows", ["dense", "sparse", "memory-mapped"])
@pytest.mark.parametrize(
    ("optimizer", "normalization"),
    [("momentum", None), ("momentum", "batch"), ("adamw", None), ("adamw", "layer")],
)
def test_in_single_precision(rows, optimizer, normalization, tmp_path):
    case = Case(
        optimizer, rows, weights="own rows", dtype=np.float32, epochs=5, watches="score",
        architecture={"normalization": normalization},
    )  # fmt: skip
    together, _, _ = assert_like_alone(case, tmp_path / "X", rtol=2e-3, atol=2e-3)
    assert numbers(together.network).dtype == np.float32


# --- In one thing -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("own_rows", [False, True])
def test_networks_that_differ_in_one_number(name, own_rows, tmp_path):
    case = Case(own=(name,), own_rows=own_rows, weights="rows", epochs=6)
    assert_like_alone(case, tmp_path / "X")


@pytest.mark.parametrize("batch_size", [None, 1, 18])
def test_networks_that_differ_in_their_rows(batch_size, tmp_path):
    """All rows in one batch, single rows, or three batches whose last one has 17, 14 and 15."""
    rows_differ = batch_size != 1
    case = Case(own=(), batch_size=batch_size, own_rows=rows_differ, epochs=3)
    assert_like_alone(case, tmp_path / "X")


@pytest.mark.parametrize("weights", ["none", "rows", "outputs"])
def test_networks_that_differ_in_their_seeds_alone(weights, tmp_path):
    case = Case(own=(), own_rows=False, weights=weights, epochs=4)
    together, *_ = assert_like_alone(case, tmp_path / "X")
    assert not np.allclose(numbers(together.network)[0], numbers(together.network)[1])


def test_a_stack_with_more_axes_shares_rows_and_order():
    values = np.linspace(0.001, 0.05, 6).reshape(2, 3, 1)

    def trained(stack, seeds, rate):
        network = network_of([N_IN, 6, N_OUT], [Tanh()], [0.3], stack=stack)
        network.initialize([HeNormal()] * 2, streams_of(*seeds))
        learner = learner_of(
            network, loss=SoftmaxLogLoss(), learning_rate=rate, l2=rate * 10,
            streams=streams_of(*(9 + seed for seed in seeds)),
        )  # fmt: skip
        fit(learner, Batches(X, Y, batch_size=16, streams=streams_of(5)), 4)
        return network

    together = trained((2, 3), range(6), values)
    for seed, index in enumerate(np.ndindex(2, 3)):
        alone = trained((), [seed], float(values[*index, 0]))
        np.testing.assert_allclose(numbers(together)[index], numbers(alone), rtol=1e-9)
        np.testing.assert_allclose(
            together.member(index).predict(X), alone.predict(X), rtol=1e-9, atol=1e-12
        )


# --- Groups that take turns -------------------------------------------------------------------


@pytest.mark.parametrize("watches", ["nothing", "loss", "score"])
@pytest.mark.parametrize("parts", [[[0, 1, 2]], [[0, 1], [2]], [[0], [1], [2]]])
def test_groups_that_take_turns_are_one_group(parts, watches, tmp_path):
    """With one patience together, whose best epoch is the same for all."""
    X_test = np.random.default_rng(9).standard_normal((40, N_IN))

    def joint(*networks):
        """Judge all networks together, by their mean prediction."""
        Z = np.concatenate([n.predict(X_test).reshape(-1, 40, N_OUT) for n in networks])
        spread = np.mean(Z.std(axis=0)) + 0.1 * np.mean(np.abs(Z.mean(axis=0)))
        return spread, -spread

    def trained(parts):
        learners, batches = [], []
        for part in parts:
            stack = (len(part),)
            rates = column([OWN["learning_rate"][k] for k in part])
            dropout = column([OWN["dropout"][k] for k in part])
            network = network_of(
                [N_IN, 8, N_OUT], [Tanh()], [dropout], stack=stack, normalization="layer"
            )
            network.initialize([HeNormal()] * 2, streams_of(*part))
            learners.append(
                learner_of(
                    network, loss=SoftmaxLogLoss(), optimizer=OPTIMIZERS["adam"](),
                    learning_rate=rates, streams=streams_of(*(100 + k for k in part)),
                )
            )  # fmt: skip
            batches.append(
                Batches(
                    X, Y, batch_size=BATCH_SIZE, streams=streams_of(*(200 + k for k in part)),
                    rows=[ROWS[k] for k in part],
                )
            )  # fmt: skip
        progress = Progress(watches="validation_score" if watches == "score" else "loss")
        if watches == "score" or (watches == "loss" and len(parts) > 1):
            progress.patience = Patience(0.0 if watches == "score" else 0.2, 2)
        fit(learners, batches, 15, progress, validate=joint)
        return np.concatenate([numbers(learner.network) for learner in learners]), progress

    if watches == "loss":
        # A stack of its own has a patience for each network: two groups are the least.
        if len(parts) == 1:
            return
        expected, one = trained([[0], [1, 2]])
    else:
        expected, one = trained([[0, 1, 2]])
    found, several = trained(parts)
    assert (several.ended, several.epochs) == (one.ended, one.epochs)
    assert several.best.epoch == one.best.epoch
    if watches != "nothing":
        assert one.epochs < 15
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    for name in ("loss", "gradient_norm", "learning_rate", "validation_loss", "validation_score"):
        np.testing.assert_allclose(several.history[name], one.history[name], rtol=1e-9)


# --- Members ----------------------------------------------------------------------------------


def test_a_member_can_be_trained_on_and_the_stack_sees_it():
    stack = network_of([N_IN, 6, N_OUT], [Tanh()], normalization="batch", stack=(3,))
    stack.initialize([HeNormal()] * 2, streams_of(0, 1, 2))
    before, member = numbers(stack), stack.member((1,))
    fit(learner_of(member, loss=SoftmaxLogLoss()), Batches(X, Y, batch_size=16), 2)
    np.testing.assert_array_equal(numbers(stack)[[0, 2]], before[[0, 2]])
    assert not np.allclose(numbers(stack)[1], before[1])
    np.testing.assert_allclose(stack.predict(X)[1], member.predict(X), rtol=1e-12)


def test_a_stack_of_one_is_the_network(tmp_path):
    case = dataclasses.replace(Case(), weights="own rows")
    _, alone, expected = run(case, [1], tmp_path / "X")
    network = network_of([N_IN, 8, 6, N_OUT], [ReLU(), Tanh()], [OWN["dropout"][1]] * 2, stack=(1,))
    network.initialize([HeNormal(), GlorotUniform(), None], streams_of(1))
    learner = learner_of(
        network, loss=SoftmaxLogLoss(), optimizer=OPTIMIZERS["adam"](),
        learning_rate=column([0.03]), l2=column([0.1]), clip_norm=column([0.5]),
        mean_weight=column([1.5]), streams=streams_of(101),
    )  # fmt: skip
    batches = Batches(
        X,
        Y,
        case.all_weights()[[1]],
        batch_size=BATCH_SIZE,
        streams=streams_of(201),
        rows=[ROWS[1]],
    )
    progress = Progress(patience=Patience(case.tol, OWN["patience"][1]))
    fit(learner, batches, case.epochs, progress)
    assert progress.epochs == alone.epochs
    np.testing.assert_allclose(network.predict(X)[0], expected, rtol=1e-9, atol=1e-12)
