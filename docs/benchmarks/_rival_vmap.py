"""Networks side by side in JAX: `jax.vmap` over the members, a whole epoch in one `lax.scan`."""

import os
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from _common import blas_threads

# JAX reads these when it is imported.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
if blas_threads() == 1:
    os.environ.setdefault(
        "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    )
    os.environ.setdefault("NPROC", "1")  # XLA's own pool of threads heeds this alone

import jax
import jax.numpy as jnp
from jax import lax


def prepare(
    X: np.ndarray,
    y: np.ndarray,
    n_networks: int,
    hidden: tuple[int, ...],
    batch_size: int,
    epochs: int,
    learning_rate: float,
    l2: float,
) -> Callable[[], None]:
    """Compile an epoch of all networks, and return a function that fits them."""
    n_steps = len(X) // batch_size  # the shorter last batch is left out, in favor of JAX
    sizes = (X.shape[1], *hidden, 1)
    beta1, beta2, epsilon = 0.9, 0.999, 1e-8

    def objective(parameters, X, y):
        A = X
        *inner, (W, b) = parameters
        for V, c in inner:
            A = jax.nn.relu(A @ V + c)
        z = (A @ W + b)[:, 0]
        penalty = sum(jnp.vdot(W, W) for W, _ in parameters)
        return (jax.nn.softplus(z) - y * z).mean() + 0.5 * l2 / len(y) * penalty

    def epoch(parameters, m, v, t, X, y, order):
        def step(carry, rows):
            parameters, m, v, t = carry
            loss, gradient = jax.value_and_grad(objective)(parameters, X[rows], y[rows])
            t = t + 1
            m = jax.tree.map(lambda m, g: beta1 * m + (1 - beta1) * g, m, gradient)
            v = jax.tree.map(lambda v, g: beta2 * v + (1 - beta2) * g * g, v, gradient)
            rate = learning_rate * jnp.sqrt(1 - beta2**t) / (1 - beta1**t)
            parameters = jax.tree.map(
                lambda p, m, v: p - rate * m / (jnp.sqrt(v) + epsilon), parameters, m, v
            )
            return (parameters, m, v, t), loss

        (parameters, m, v, t), losses = lax.scan(step, (parameters, m, v, t), order)
        return parameters, m, v, t, losses.mean()

    together = jax.vmap(epoch, in_axes=(0, 0, 0, 0, None, None, 0))
    rng = np.random.default_rng(0)
    initial = [
        (
            rng.normal(0, np.sqrt(2 / n_in), (n_networks, n_in, n_out)).astype(np.float32),
            np.zeros((n_networks, n_out), np.float32),
        )
        for n_in, n_out in pairwise(sizes)
    ]
    zeros = jax.tree.map(np.zeros_like, initial)
    count = np.zeros(n_networks, np.float32)
    X, y = X.astype(np.float32), y.astype(np.float32)

    def draw_order() -> np.ndarray:
        rows = [rng.permutation(len(X))[: n_steps * batch_size] for _ in range(n_networks)]
        return np.array(rows, np.int32).reshape(n_networks, n_steps, batch_size)

    compiled = jax.jit(together).lower(initial, zeros, zeros, count, X, y, draw_order()).compile()

    def fit() -> None:
        state = jax.device_put((initial, zeros, zeros, count))
        inputs = jax.device_put((X, y))
        for _ in range(epochs):
            *state, loss = compiled(*state, *inputs, draw_order())
            assert np.isfinite(np.asarray(loss)).all()

    return fit
