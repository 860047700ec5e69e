"""The same training in JAX: a whole epoch is one compiled `lax.scan`."""

import os
from collections.abc import Callable
from itertools import pairwise
from typing import Any

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
import optax
from jax import lax


def _logits(parameters: list, X: jax.Array) -> jax.Array:
    *hidden, (W, b) = parameters
    for V, c in hidden:
        X = jax.nn.relu(X @ V + c)
    return X @ W + b


def _mean_loss(parameters: list, X: jax.Array, y: jax.Array) -> jax.Array:
    Z = _logits(parameters, X)
    if Z.shape[1] == 1:
        return optax.sigmoid_binary_cross_entropy(Z[:, 0], y).mean()
    return optax.softmax_cross_entropy_with_integer_labels(Z, y).mean()


def _initial(sizes: tuple[int, ...]) -> list:
    rng = np.random.default_rng(0)
    return [
        (
            rng.normal(0, np.sqrt(2 / n_in), (n_in, n_out)).astype(np.float32),
            np.zeros(n_out, np.float32),
        )
        for n_in, n_out in pairwise(sizes)
    ]


def prepare(X: np.ndarray, y: np.ndarray, shape: Any) -> Callable[[], list[float]]:
    """Compile an epoch, and return a function that fits and returns each epoch's mean loss."""
    optimizer = optax.adam(shape.learning_rate)
    targets = y.astype(np.float32 if shape.sizes[-1] == 1 else np.int32)

    def objective(parameters: list, X: jax.Array, y: jax.Array) -> jax.Array:
        penalty = sum(jnp.vdot(W, W) for W, _ in parameters)
        return _mean_loss(parameters, X, y) + 0.5 * shape.l2 / len(y) * penalty

    def epoch(parameters, state, X, y, order):
        def step(carry, rows):
            parameters, state = carry
            batch = [array.at[rows].get(mode="promise_in_bounds") for array in (X, y)]
            loss, gradient = jax.value_and_grad(objective)(parameters, *batch)
            updates, state = optimizer.update(gradient, state)
            return (optax.apply_updates(parameters, updates), state), loss * len(rows)

        n_full = shape.n_samples // shape.batch_size * shape.batch_size
        batches = order[:n_full].reshape(-1, shape.batch_size)
        carry, totals = lax.scan(step, (parameters, state), batches)
        total = totals.sum()
        # The last, shorter batch has code of its own, which spares the work on padded rows.
        if n_full < shape.n_samples:
            carry, last = step(carry, order[n_full:])
            total += last
        return *carry, total / shape.n_samples

    state_form = jax.eval_shape(optimizer.init, _initial(shape.sizes))
    described = (
        _initial(shape.sizes),
        state_form,
        jax.ShapeDtypeStruct(X.shape, X.dtype),
        jax.ShapeDtypeStruct(targets.shape, targets.dtype),
        jax.ShapeDtypeStruct((shape.n_samples,), np.int32),
    )
    compiled = jax.jit(epoch, donate_argnums=(0, 1)).lower(*described).compile()

    def fit() -> list[float]:
        rng = np.random.default_rng(0)
        # Adam starts from zeros. JAX would compile code for each array that it makes itself.
        zeros = jax.tree.map(lambda form: np.zeros(form.shape, form.dtype), state_form)
        parameters, state, inputs, labels = jax.device_put(
            (_initial(shape.sizes), zeros, X, targets)
        )
        losses = []
        for _ in range(shape.epochs):
            # JAX's own permutation sorts, and would cost it time.
            order = jax.device_put(rng.permutation(shape.n_samples).astype(np.int32))
            parameters, state, loss = compiled(parameters, state, inputs, labels, order)
            losses.append(float(loss))
        return losses

    return fit
