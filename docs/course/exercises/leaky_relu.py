"""Exercise: write `LeakyReLU.backward`. Fill it in and run this file, which says what is wrong."""

from dataclasses import dataclass

import numpy as np

from skscratch import ScratchMLPRegressor
from skscratch.inspection import gradient_check
from skscratch.nn import Activation


@dataclass
class LeakyReLU(Activation):
    """f(z) = z if z > 0 else slope z."""

    slope: float = 0.1

    def forward(self, Z, A):
        """Write f(Z) to A."""
        A[...] = np.where(Z > 0, Z, self.slope * Z)

    def backward(self, dA, Z, A):
        """Turn dA into dZ = dA * f'(Z), in place. All arrays have the same shape."""
        raise NotImplementedError


def check():
    """Return what is wrong with backward, or that it is right."""
    Z, h = np.array([[-2.0, -0.5, 0.5, 2.0]]), 1e-6
    dA = np.array([[1.0, 3.0, 1.0, 3.0]])
    f, before = LeakyReLU(), dA.copy()
    above, below, A = np.empty_like(Z), np.empty_like(Z), np.empty_like(Z)
    f.forward(Z + h, above), f.forward(Z - h, below), f.forward(Z, A)
    slopes = (above - below) / (2 * h)
    try:
        returned = f.backward(dA, Z.copy(), A)
    except NotImplementedError:
        return "Not yet: backward is still the stub. Its one line changes dA."
    if np.array_equal(dA, before):
        if returned is not None:
            return "Not yet: backward returns dZ. It should write it to dA, as `dA *= ...` does."
        return "Not yet: dA is as it was. `dA = ...` only names a new array; use `dA *= ...`."
    if np.allclose(dA, slopes):
        return "Not yet: that is f'(Z) alone. The chain rule multiplies it by dA."
    wrong = ~np.isclose(dA, before * slopes)
    if wrong.any():
        z, given, got, right = (v[wrong][0] for v in (Z, before, dA, before * slopes))
        return (
            f"Not yet: at z = {z:g} with dA = {given:g} backward gives {got:g}. There forward has "
            f"the slope {slopes[wrong][0]:.3g}, so that dZ = {right:.3g}."
        )
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((30, 3)), rng.standard_normal(30)
    network = ScratchMLPRegressor((5, 4), activation=LeakyReLU(), random_state=0)
    if not gradient_check(network, X, y).passed:
        return "Not yet: right for these numbers, but not in a network. What about z near 0?"
    return "Right, for single numbers and in a network, by gradient_check."


if __name__ == "__main__":
    print(check())
