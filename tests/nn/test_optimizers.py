import numpy as np
import pytest

from skscratch.nn import OPTIMIZERS, SGD, AdaGrad, Adam, AdamW, Nadam, RMSprop

from . import reference
from .checks import Float32Only, duplicates

OTHER_PARAMETERS = [
    SGD(momentum=0.5),
    SGD(momentum=0.7, nesterov=True),
    SGD(nesterov=True),
    AdaGrad(epsilon=0.1),
    RMSprop(rho=0.5, epsilon=0.01),
    Adam(beta1=0.5, beta2=0.9, epsilon=0.1),
    Adam(epsilon=0.1, correct_epsilon=False),
    Adam(beta1=0.0, beta2=0.0),
    AdamW(beta1=0.3, epsilon=0.2),
    Nadam(beta1=0.6, beta2=0.8, epsilon=0.1),
]
EVERY = [pytest.param(make(), id=name) for name, make in OPTIMIZERS.items()]
EVERY += [pytest.param(option, id=repr(option)) for option in OTHER_PARAMETERS]


def gradients(n_steps, size, seed=0):
    """Gradients of very different scales, with zeros among them from the first step on."""
    rng = np.random.default_rng(seed)
    g = rng.standard_normal((n_steps, size)) * 10.0 ** rng.uniform(-4, 2, size)
    g[rng.random(g.shape) < 0.2] = 0
    g[:, 0] = 0
    return g


@pytest.mark.parametrize("optimizer", EVERY)
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-12), (np.float32, 2e-5)])
def test_updates_match_the_textbook_on_scalars(optimizer, dtype, rtol):
    g, rates = gradients(30, 8).astype(dtype), np.linspace(0.1, 0.01, 30).tolist()
    start = np.random.default_rng(1).standard_normal(8).astype(dtype)
    w = start.copy()
    state = optimizer.init(w)
    expected = start.astype(float)
    changes = [reference.optimizer(optimizer) for _ in start]
    for step, rate in enumerate(rates):
        optimizer.step(w, g[step], rate, state)
        expected += [
            change(g_i, rate) for change, g_i in zip(changes, g[step].tolist(), strict=True)
        ]
        # Compared as moves, so that a large starting value hides nothing.
        np.testing.assert_allclose(
            w, expected, rtol=rtol, atol=rtol * np.abs(expected - start).max()
        )
    assert w.dtype == dtype
    assert state.t == 30
    assert w[0] == start[0]


@pytest.mark.parametrize("optimizer", EVERY)
@pytest.mark.parametrize("block", [1000, 3])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_networks_side_by_side_may_have_rates_of_their_own(optimizer, block, dtype, monkeypatch):
    for module in ("blocks", "optimizers"):
        monkeypatch.setattr(f"skscratch.nn.{module}.BLOCK", block)
    factors = [1.0, 0.0, 60.0]
    g = np.stack([gradients(20, 8, seed) for seed in range(3)], axis=1).astype(dtype)
    together = np.random.default_rng(1).standard_normal((3, 8)).astype(dtype)
    alone = together.copy()
    state, states = optimizer.init(together), [optimizer.init(w) for w in alone]
    rtol = 1e-13 if dtype == np.float64 else 1e-5
    for step, rate in enumerate(np.linspace(0.1, 0.01, 20).tolist()):
        rates = np.array([[rate * factor] for factor in factors], dtype)
        optimizer.step(together, g[step], rates, state)
        for k, factor in enumerate(factors):
            optimizer.step(alone[k], g[step, k], rate * factor, states[k])
        np.testing.assert_allclose(together, alone, rtol=rtol, atol=rtol * np.abs(alone).max())
    assert together.dtype == dtype


@pytest.mark.parametrize("optimizer", EVERY)
def test_state_has_the_dtype_and_shape_of_the_parameters(optimizer):
    w = np.ones((2, 5), np.float32)
    state = optimizer.init(w)
    optimizer.step(w, w.copy(), 0.1, state)
    arrays = [*state.scratch, *state.moments]
    assert arrays
    assert {(array.dtype, array.shape) for array in arrays} == {(np.dtype(np.float32), (2, 5))}


@pytest.mark.parametrize("optimizer", EVERY)
def test_moves_in_place_and_leaves_gradient_and_configuration_alone(optimizer):
    w, g = np.ones(6), gradients(1, 6)[0]
    kept, before = g.copy(), optimizer.get_params()
    state = optimizer.init(w)
    np.testing.assert_array_equal(w, 1)
    same = w
    optimizer.step(w, g, 0.1, state)
    assert same is w
    assert not np.array_equal(w, np.ones(6))
    np.testing.assert_array_equal(g, kept)
    assert optimizer.get_params() == before
    assert optimizer == type(optimizer)(**before)


@pytest.mark.parametrize("optimizer", EVERY)
def test_two_runs_of_one_object_do_not_share_memory(optimizer):
    """One optimizer object may serve several estimators, as in a grid search."""
    g = gradients(5, 6)
    alone, interleaved, other = np.ones(6), np.ones(6), np.zeros(6)
    state = optimizer.init(alone)
    for g_t in g:
        optimizer.step(alone, g_t, 0.1, state)
    state, other_state = optimizer.init(interleaved), optimizer.init(other)
    for g_t in g:
        optimizer.step(interleaved, g_t, 0.1, state)
        optimizer.step(other, -3 * g_t, 0.2, other_state)
    np.testing.assert_array_equal(interleaved, alone)


@pytest.mark.parametrize("optimizer", EVERY)
@pytest.mark.parametrize("shape", [(70,), (2, 70)])
def test_moving_block_by_block_changes_nothing(optimizer, shape, monkeypatch):
    g = [gradients(5, 70, seed).reshape(5, *(1,) * (len(shape) - 1), 70) for seed in range(2)]
    g = np.concatenate(g[: shape[0] if len(shape) > 1 else 1], axis=1).reshape(5, *shape)
    ends = []
    for block in (1000, 70, 69, 32, 1):
        monkeypatch.setattr("skscratch.nn.blocks.BLOCK", block)
        monkeypatch.setattr("skscratch.nn.optimizers.BLOCK", block)
        w = np.ones(shape)
        state = optimizer.init(w)
        assert all(room.shape[-1] == min(block, 70) for room in state.scratch)
        for g_t in g:
            optimizer.step(w, g_t, 0.1, state)
        ends.append(w)
    for w in ends[1:]:
        np.testing.assert_array_equal(w, ends[0])


@pytest.mark.parametrize("optimizer", EVERY)
@duplicates
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_copied_state_goes_on_alike(optimizer, duplicate, dtype):
    g, w = gradients(6, 5).astype(dtype), np.ones(5, dtype)
    state = optimizer.init(w)
    for g_t in g[:3]:
        optimizer.step(w, g_t, 0.1, state)
    w_copy, state_copy = w.copy(), duplicate(state)
    for g_t in g[3:]:
        optimizer.step(w, g_t, 0.1, state)
    assert state_copy.t == 3
    for name in ("moments", "scratch"):
        for mine, its in zip(getattr(state_copy, name), getattr(state, name), strict=True):
            assert (mine.shape, mine.dtype) == (its.shape, its.dtype)
    for g_t in g[3:]:
        optimizer.step(w_copy, g_t, 0.1, state_copy)
    np.testing.assert_array_equal(w_copy, w)


@pytest.mark.parametrize("optimizer", EVERY)
def test_float32_is_never_computed_in_double(optimizer):
    w = np.ones(5, np.float32).view(Float32Only)
    g = gradients(3, 5).astype(np.float32).view(Float32Only)
    state = optimizer.init(w)
    for g_t in g:
        optimizer.step(w, g_t, 0.1, state)
    stack = np.ones((2, 5), np.float32).view(Float32Only)
    state = optimizer.init(stack)
    rates = np.array([[0.1], [0.2]], np.float32).view(Float32Only)
    for g_t in g:
        optimizer.step(stack, np.broadcast_to(g_t, (2, 5)), rates, state)


@pytest.mark.parametrize("optimizer", EVERY)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_extreme_gradients_stay_finite(optimizer, dtype):
    w = np.zeros(4, dtype)
    state = optimizer.init(w)
    for _ in range(3):
        optimizer.step(w, np.array([1e4, -1e4, 0, 1e-30], dtype), 0.01, state)
    assert np.isfinite(w).all()
    assert w[2] == 0


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_minimizes_a_convex_quadratic(name):
    """1/2 (w - c)^T H (w - c), with a condition number of 10."""
    H, c = np.diag([0.2, 1.0, 2.0]), np.array([1.0, -2.0, 0.5])
    optimizer, w = OPTIMIZERS[name](), np.zeros(3)
    state = optimizer.init(w)
    for step in range(3000):
        optimizer.step(w, H @ (w - c), 0.1 * (1 - step / 3000), state)
    np.testing.assert_allclose(w, c, atol=1e-3)


@pytest.mark.parametrize("momentum", [0.5, 0.9])
def test_nesterov_is_the_gradient_at_the_point_looked_ahead_to(momentum):
    """The parameters are the point theta + momentum v of Sutskever et al., equations 3 and 4."""
    H, lr = np.array([0.3, 1.0, 2.0]), 0.1
    w = np.array([1.0, -2.0, 3.0])
    theta, v = w.copy(), np.zeros(3)
    optimizer = SGD(momentum=momentum, nesterov=True)
    state = optimizer.init(w)
    for _ in range(10):
        optimizer.step(w, H * w, lr, state)
        v = momentum * v - lr * H * (theta + momentum * v)
        theta = theta + v
        np.testing.assert_allclose(w, theta + momentum * v, rtol=1e-13)


@pytest.mark.parametrize("name", ["adam", "adamw", "nadam"])
def test_the_first_step_has_the_size_of_the_rate_whatever_the_gradient(name):
    w = np.zeros(3)
    optimizer = OPTIMIZERS[name]()
    optimizer.step(w, np.array([1e-3, -1.0, 1e3]), 0.01, optimizer.init(w))
    if name == "nadam":
        # mu_2 (1 - mu_1) / (1 - mu_1 mu_2) + 1, from the definition
        mu = [0.9 * (1 - 0.5 * 0.96 ** (t / 250)) for t in (1, 2)]
        size = 0.01 * (mu[1] * (1 - mu[0]) / (1 - mu[0] * mu[1]) + 1)
    else:
        size = 0.01
    np.testing.assert_allclose(w, [-size, size, -size], rtol=2e-5)


def test_adam_without_epsilon_correction_is_scikit_learns():
    """Its formula, as MLPClassifier computes it: epsilon beside the uncorrected root."""
    g, lr = gradients(10, 5), 0.01
    w, expected = np.zeros(5), np.zeros(5)
    m, v = np.zeros(5), np.zeros(5)
    optimizer = Adam(epsilon=1e-3, correct_epsilon=False)
    state = optimizer.init(w)
    for t, g_t in enumerate(g, start=1):
        optimizer.step(w, g_t, lr, state)
        m, v = 0.9 * m + 0.1 * g_t, 0.999 * v + 0.001 * g_t**2
        lr_t = lr * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        expected += -lr_t * m / (np.sqrt(v) + 1e-3)
    np.testing.assert_allclose(w, expected, rtol=1e-12)
    assert not np.allclose(w, trajectory_end(Adam(epsilon=1e-3), g, lr), rtol=1e-3)


def trajectory_end(optimizer, g, lr):
    w = np.zeros(g.shape[1])
    state = optimizer.init(w)
    for g_t in g:
        optimizer.step(w, g_t, lr, state)
    return w


def test_names_stand_for_the_objects_they_promise():
    assert OPTIMIZERS["sgd"]() == SGD(momentum=0.0, nesterov=False)
    assert OPTIMIZERS["momentum"]() == SGD(momentum=0.9)
    assert OPTIMIZERS["nesterov"]() == SGD(momentum=0.9, nesterov=True)
    assert OPTIMIZERS["adam"]() == Adam(0.9, 0.999, 1e-8, correct_epsilon=True)


def test_only_adamw_decouples_its_decay():
    assert [name for name, make in OPTIMIZERS.items() if make().decoupled_decay] == ["adamw"]


def test_adamw_differs_from_adam_though_their_parameters_are_equal():
    assert AdamW() != Adam()


def test_gradient_descent_remembers_nothing_without_momentum():
    w = np.ones(4)
    assert SGD().init(w).moments == ()
    assert len(SGD(momentum=0.9).init(w).moments) == 1
