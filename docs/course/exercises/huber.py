"""Exercise: write the gradient of Huber's loss. Run this file, which says what is wrong."""

import numpy as np

from skscratch.nn import Huber


def losses(Z, Y, delta):
    """Return Huber's loss of each row, for Z and Y of shape (n, 1)."""
    error = np.abs(Z - Y)
    return np.where(error > delta, delta * (error - delta / 2), error**2 / 2)


def gradient(Z, Y, delta):
    """Return the derivative of each row's loss with respect to its z, of shape (n, 1)."""
    raise NotImplementedError


def check():
    """Return what is wrong with the gradient, or that it is right."""
    delta, h = 1.5, 1e-6
    Z = np.array([[0.5], [-0.5], [4.0], [-4.0], [0.0]])
    Y = np.array([[0.0], [0.0], [0.0], [0.0], [0.25]])
    right = (losses(Z + h, Y, delta) - losses(Z - h, Y, delta)) / (2 * h)
    try:
        got = gradient(Z.copy(), Y.copy(), delta)
    except NotImplementedError:
        return "Not yet: gradient is still the stub. How does the loss grow with z, where?"
    if got is None:
        return "Not yet: gradient returns nothing. End it with `return ...`."
    got = np.asarray(got, dtype=float)
    if got.shape != Z.shape:
        return f"Not yet: a gradient has the shape of Z, {Z.shape}, and this one {got.shape}."
    if np.allclose(got, -right):
        return "Not yet: the signs are all reversed. Where z is too large the loss grows with z."
    if np.allclose(got, right / len(Z)):
        return "Not yet: this is that of the mean over the rows. Each row has its own loss here."
    if np.allclose(got, Z - Y):
        return "Not yet: this is that of the squared error. Beyond delta the loss is straight."
    wrong = ~np.isclose(got, right, atol=1e-6)
    if wrong.any():
        z, y, mine, slope = (v[wrong][0] for v in (Z, Y, got, right))
        side = "beyond" if abs(z - y) > delta else "within"
        return (
            f"Not yet: for z = {z:g}, y = {y:g} and delta = {delta}, {side} delta, the slope of "
            f"the loss is {slope:.3g}, and gradient says {mine:.3g}."
        )
    rng = np.random.default_rng(0)
    Z, Y = rng.normal(0, 2, (50, 1)), rng.normal(0, 2, (50, 1))
    reference = np.empty_like(Z)
    Huber(delta=0.7).value_and_gradient(Z.copy(), Y, None, reference)
    if not np.allclose(gradient(Z, Y, 0.7) / len(Z), reference):
        return "Not yet: right for delta = 1.5, and wrong for 0.7. Use the delta that is given."
    return "Right, by finite differences and by skscratch.nn.Huber."


if __name__ == "__main__":
    print(check())
