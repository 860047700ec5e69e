"""A whole network: the data, two layers, the loss, its gradient, and the training."""

import numpy as np

rng = np.random.default_rng(0)

# Two moons: half circles that reach into each other, with noise.
angle = np.pi * rng.random(200)
X = np.column_stack([np.cos(angle), np.sin(angle)])
X[100:] = [1.0, 0.5] - X[100:]
X += 0.2 * rng.standard_normal(X.shape)
Y = np.repeat([[0.0], [1.0]], 100, axis=0)

# Two inputs, 16 hidden units, one output.
W1, b1 = rng.standard_normal((2, 16)) * np.sqrt(2 / 2), np.zeros((1, 16))
W2, b2 = rng.standard_normal((16, 1)) * np.sqrt(2 / 16), np.zeros((1, 1))
parameters = [W1, W2, b1, b2]
velocities = [np.zeros_like(w) for w in parameters]

for epoch in range(1, 101):
    total = 0.0
    order = rng.permutation(200)
    for start in range(0, 200, 20):
        rows = order[start : start + 20]
        x, y = X[rows], Y[rows]

        # Forward
        z1 = x @ W1 + b1
        a1 = np.maximum(0, z1)
        z2 = a1 @ W2 + b2

        # The loss, and its gradient with respect to z2
        losses = np.logaddexp(0, z2) - y * z2
        dz2 = (1 / (1 + np.exp(-z2)) - y) / len(rows)

        # Backward
        dW2, db2 = a1.T @ dz2, dz2.sum(axis=0, keepdims=True)
        dz1 = (dz2 @ W2.T) * (z1 > 0)
        dW1, db1 = x.T @ dz1, dz1.sum(axis=0, keepdims=True)

        # The step
        gradients = [dW1, dW2, db1, db2]
        for w, v, g in zip(parameters, velocities, gradients, strict=True):
            v *= 0.9
            v -= 0.05 * g
            w += v
        total += losses.sum()
    if epoch in (1, 10, 100):
        print(f"epoch {epoch:3}: loss {total / 200:.3f}")
