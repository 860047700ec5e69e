"""Exercise: write a step with momentum. Fill it in and run this file, which says what is wrong."""

import numpy as np

from skscratch.nn import SGD


def step(w, v, g, rate, beta):
    """Move the weights w, and update their velocity v, both in place, given the gradient g.

    v becomes beta v - rate g, and w becomes w + v, with the new v.
    """
    raise NotImplementedError


def check():
    """Return what is wrong with the step, or that it is right."""
    rate, beta = 0.1, 0.9
    curvatures = np.array([1.0, 4.0])
    start = np.array([1.0, -2.0])
    w, v, right = start.copy(), np.zeros(2), start.copy()
    optimizer = SGD(momentum=beta)
    state = optimizer.init(right)
    for count in range(1, 21):
        g, before = curvatures * right, w.copy()
        optimizer.step(right, g, rate, state)
        try:
            step(w, v, g.copy(), rate, beta)
        except NotImplementedError:
            return "Not yet: step is still the stub. It takes three lines, or two."
        if np.array_equal(w, before):
            return "Not yet: w has not moved. Change it in place: `w += v`, not `w = w + v`."
        if not np.any(v):
            return "Not yet: v is still 0. Change it in place: `v *= ...`, `v -= ...`."
        if np.allclose(w, right):
            continue
        if count == 1 and np.allclose(w - before, before - right):
            return "Not yet: the first step goes uphill. The gradient points uphill."
        if count == 1:
            return (
                f"Not yet: from {before} with v = 0, g = {g}, rate = {rate} the first step should "
                f"lead to {right}, and leads to {w}."
            )
        if np.allclose(w, before - rate * g):
            return f"Not yet: step {count} is one without momentum. What is left of the old v?"
        if count == 2:
            return (
                f"Not yet: the first step is right, and the second leads to {w}, not {right}. "
                "How much of the first step is kept?"
            )
        return f"Not yet: right at first, wrong from step {count} on. What was added to v twice?"
    return "Right: 20 steps are those of skscratch.nn.SGD."


if __name__ == "__main__":
    print(check())
