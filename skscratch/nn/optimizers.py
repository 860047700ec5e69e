r"""Optimizers: how the gradient moves the parameters.

Each follows its paper's formula for the parameters ``w``, their gradient ``g``, the learning
rate ``lr`` and the step number ``t = 1, 2, ...``. An optimizer knows nothing of layers: it sees
one flat vector (for a stack of networks an array of shape ``(..., P)``) and changes it in place.

An optimizer object is configuration and never changes. ``init`` makes the `State` that a run
owns; ``step`` reads and updates it::

    optimizer = Adam(beta2=0.95)
    state = optimizer.init(w)
    optimizer.step(w, g, 0.001, state)

Scalars are Python floats throughout: a NumPy float64 scalar would drag a float32 loop through
double precision, which is several times slower.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np

from .blocks import BLOCK, blocks
from .options import FRACTION, POSITIVE, Options, boolean, real


@dataclass
class State:
    """What an optimizer remembers from step to step.

    Attributes
    ----------
    moments : tuple of ndarray
        Running averages, each of the parameters' shape; which ones is the optimizer's affair.
    scratch : tuple of ndarray
        Room for intermediate results, each for a block of parameters.
    t : int
        Number of steps made.
    """

    moments: tuple[np.ndarray, ...]
    scratch: tuple[np.ndarray, ...]
    t: int = 0

    def __getstate__(self) -> dict[str, Any]:
        # Of scratch only the size matters.
        return {**self.__dict__, "scratch": [(room.shape, room.dtype.str) for room in self.scratch]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.scratch = tuple(np.empty(shape, dtype) for shape, dtype in state["scratch"])


class Optimizer(Options):
    """Base of the optimizers.

    Attributes
    ----------
    n_moments : int
        Number of running averages.
    n_scratch : int
        Number of intermediate results.
    state_type : type
        The class of the state.
    decoupled_decay : bool
        Whether weight decay acts on the weights directly instead of through the loss.
    full_batch : bool
        Whether the optimizer searches with all rows at once, by a loop of its own: `minimize`.
    """

    n_moments: ClassVar[int] = 0
    n_scratch: ClassVar[int] = 1
    state_type: ClassVar[type[State]] = State
    decoupled_decay: ClassVar[bool] = False
    full_batch: ClassVar[bool] = False

    def init(self, w: np.ndarray) -> State:
        """Make the state for parameters like ``w``, of shape (..., P)."""
        return self._make_state(w, self.n_moments)

    def _make_state(self, w: np.ndarray, n_moments: int) -> State:
        return self.state_type(
            # Unlike np.zeros_like, this takes no memory until it is written to.
            moments=tuple(np.zeros(w.shape, w.dtype) for _ in range(n_moments)),
            scratch=tuple(np.empty_like(w[..., :BLOCK]) for _ in range(self.n_scratch)),
        )

    def step(self, w: np.ndarray, g: np.ndarray, learning_rate: Any, state: State) -> None:
        """Move ``w``, in place.

        Parameters
        ----------
        w : ndarray of shape (..., P)
            The parameters.
        g : ndarray of shape (..., P)
            Their gradient. It is left as it is.
        learning_rate : float or ndarray of shape (..., 1)
            The rate of this step, of all networks or of each.
        state : State
            The run's state, made by `init`.
        """
        self._count(state)
        for w_block, g_block, *arrays in blocks((w, g, *state.moments), state.scratch):
            self._move(w_block, g_block, learning_rate, state, *arrays)

    def minimize(
        self,
        learner: Any,
        batches: Any,
        max_iter: int,
        begin: Callable[[], Any],
        end_epoch: Callable[[dict[str, Any], float], bool],
    ) -> str:
        """Move the network to a minimum over all rows; what a full-batch optimizer defines.

        Parameters
        ----------
        learner : Learner
            The network and how it learns.
        batches : Batches
            The data, in a single batch.
        max_iter : int
            The most iterations.
        begin : callable
            To be called at each iteration's beginning, or when it is told of.
        end_epoch : callable
            To be called at each iteration's end, once the network is what it found, with loss,
            learning rate and gradient norm, and the time at its beginning. A true answer ends the
            search.

        Returns
        -------
        reason : str
            Why it ended before it converged; empty if it did converge, or if it was told to end.
        """
        raise NotImplementedError

    def _count(self, state: State) -> None:
        """Do what a step does once, whatever the number of blocks."""
        state.t += 1

    def _move(self, w: np.ndarray, g: np.ndarray, lr: Any, state: Any, *arrays: np.ndarray) -> None:
        """Move a block of parameters; ``arrays`` are its moments and scratch."""
        raise NotImplementedError


@dataclass
class SGD(Optimizer):
    r"""Stochastic gradient descent, with momentum if wanted.

    ``v = momentum v - lr g;  w += v``, and Nesterov's form ``w += momentum v - lr g`` with the
    new v, which looks ahead by one step.

    Parameters
    ----------
    momentum : float, default=0.0
        Share of the last update that is kept, in [0, 1).
    nesterov : bool, default=False
        Whether to look ahead. Without momentum there is nothing to look ahead with.

    References
    ----------
    Sutskever, Martens, Dahl and Hinton (2013), "On the importance of initialization and
    momentum in deep learning", ICML.
    """

    momentum: float = real(0.0, FRACTION)
    nesterov: bool = boolean(False)

    def init(self, w):
        return self._make_state(w, n_moments=1 if self.momentum else 0)

    def _move(self, w, g, lr, state, *arrays):
        *moments, scratch = arrays
        scaled = np.multiply(g, lr, out=scratch)
        if not moments:
            w -= scaled
            return
        (v,) = moments
        v *= self.momentum
        v -= scaled
        if self.nesterov:
            w -= scaled
            w += np.multiply(v, self.momentum, out=scratch)
        else:
            w += v


@dataclass
class AdaGrad(Optimizer):
    """``G += g^2;  w -= lr g / (sqrt(G) + epsilon)``.

    Parameters
    ----------
    epsilon : float, default=1e-8
        Keeps the division defined, > 0.

    References
    ----------
    Duchi, Hazan and Singer (2011), "Adaptive subgradient methods for online learning and
    stochastic optimization", JMLR 12.
    """

    epsilon: float = real(1e-8, POSITIVE)

    n_moments: ClassVar[int] = 1

    def _move(self, w, g, lr, state, G, scratch):
        G += np.square(g, out=scratch)
        _move_by_share(w, g, G, lr, self.epsilon, scratch)


@dataclass
class RMSprop(Optimizer):
    """``v = rho v + (1 - rho) g^2;  w -= lr g / (sqrt(v) + epsilon)``.

    Parameters
    ----------
    rho : float, default=0.9
        Decay of the running average, in [0, 1).
    epsilon : float, default=1e-8
        Keeps the division defined, > 0.

    References
    ----------
    Tieleman and Hinton (2012), "Lecture 6.5: RMSprop", Coursera. Epsilon stands outside the
    root here, as in PyTorch and Keras; the lecture has none.
    """

    rho: float = real(0.9, FRACTION)
    epsilon: float = real(1e-8, POSITIVE)

    n_moments: ClassVar[int] = 1

    def _move(self, w, g, lr, state, v, scratch):
        _average_of_squares(v, g, self.rho, scratch)
        _move_by_share(w, g, v, lr, self.epsilon, scratch)


@dataclass
class Adam(Optimizer):
    """Adaptive moments: each parameter gets a step of about ``lr``, whatever its gradient's scale.

    ::

        m = beta1 m + (1 - beta1) g         m_hat = m / (1 - beta1^t)
        v = beta2 v + (1 - beta2) g^2       v_hat = v / (1 - beta2^t)
        w -= lr m_hat / (sqrt(v_hat) + epsilon)

    The state holds the sums ``M = m / (1 - beta1)`` and ``V = v / (1 - beta2)``, which follow
    ``M = beta1 M + g`` and ``V = beta2 V + g^2``: two passes over the parameters less. With
    ``c = sqrt((1 - beta2^t) / (1 - beta2))``, ``sqrt(v_hat) = sqrt(V) / c``.

    Parameters
    ----------
    beta1 : float, default=0.9
        Decay of the mean of gradients, in [0, 1).
    beta2 : float, default=0.999
        Decay of the mean of squared gradients, in [0, 1).
    epsilon : float, default=1e-8
        Keeps the division defined, > 0.
    correct_epsilon : bool, default=True
        Where epsilon is added. True is Algorithm 1 of the paper, as above. False is the
        faster form that the paper gives after it, ``lr sqrt(1 - beta2^t) / (1 - beta1^t) *
        m / (sqrt(v) + epsilon)``, which scikit-learn computes: there epsilon weighs more in
        the first steps.

    References
    ----------
    Kingma and Ba (2015), "Adam: a method for stochastic optimization", arXiv:1412.6980.
    """

    beta1: float = real(0.9, FRACTION)
    beta2: float = real(0.999, FRACTION)
    epsilon: float = real(1e-8, POSITIVE)
    correct_epsilon: bool = boolean(True)

    n_moments: ClassVar[int] = 2

    def _move(self, w, g, lr, state, M, V, scratch):
        M *= self.beta1
        M += g
        V *= self.beta2
        V += np.square(g, out=scratch)
        # sqrt(v_hat) + epsilon = (sqrt(V) + epsilon c) / c, and what divides or multiplies all
        # parameters alike joins the rate.
        c = math.sqrt((1 - self.beta2**state.t) / (1 - self.beta2))
        rate = lr * c * (1 - self.beta1) / (1 - self.beta1**state.t)
        update = np.sqrt(V, out=scratch)
        update += self.epsilon * (c if self.correct_epsilon else 1 / math.sqrt(1 - self.beta2))
        np.divide(M, update, out=update)
        update *= rate
        w -= update


@dataclass
class AdamW(Adam):
    """Adam with decoupled weight decay: besides Adam's step, ``W -= lr l2 W``.

    L2 through the loss would be rescaled by Adam like any gradient; here it shrinks all weights
    (not biases) at the same rate. The decay is applied by the training step, which knows which
    parameters are weights. Parameters as `Adam`'s.

    References
    ----------
    Loshchilov and Hutter (2019), "Decoupled weight decay regularization", arXiv:1711.05101.
    """

    decoupled_decay: ClassVar[bool] = True


@dataclass
class NadamState(State):
    """Nadam remembers the product of its momenta."""

    mu_product: float = 1.0


@dataclass
class Nadam(Optimizer):
    """Adam with Nesterov's momentum.

    ::

        mu_t = beta1 (1 - 0.5 * 0.96^(0.004 t))
        m = mu_t m + (1 - mu_t) g
        v = beta2 v + (1 - beta2) g^2
        m_hat = mu_{t+1} m / (1 - mu_1...mu_{t+1}) + (1 - mu_t) g / (1 - mu_1...mu_t)
        w -= lr m_hat / (sqrt(v / (1 - beta2^t)) + epsilon)

    Parameters
    ----------
    beta1 : float, default=0.9
        The momentum that mu_t approaches, in [0, 1).
    beta2 : float, default=0.999
        Decay of the mean of squared gradients, in [0, 1).
    epsilon : float, default=1e-8
        Keeps the division defined, > 0.

    References
    ----------
    Dozat (2016), "Incorporating Nesterov momentum into Adam", ICLR workshop, Algorithm 2 with
    the momentum schedule that it recommends. PyTorch has beta1 in place of mu_t in m.
    """

    beta1: float = real(0.9, FRACTION)
    beta2: float = real(0.999, FRACTION)
    epsilon: float = real(1e-8, POSITIVE)

    n_moments: ClassVar[int] = 2
    n_scratch: ClassVar[int] = 2
    state_type: ClassVar[type[State]] = NadamState

    def _count(self, state):
        super()._count(state)
        state.mu_product *= self._momentum(state.t)

    def _move(self, w, g, lr, state, m, v, scratch, more_scratch):
        mu, mu_next = self._momentum(state.t), self._momentum(state.t + 1)
        _average(m, g, mu, scratch)
        _average_of_squares(v, g, self.beta2, scratch)
        update = np.multiply(m, lr * mu_next / (1 - state.mu_product * mu_next), out=scratch)
        update += np.multiply(g, lr * (1 - mu) / (1 - state.mu_product), out=more_scratch)
        root = np.sqrt(v, out=more_scratch)
        root *= 1 / math.sqrt(1 - self.beta2**state.t)
        root += self.epsilon
        update /= root
        w -= update

    def _momentum(self, t: int) -> float:
        return self.beta1 * (1 - 0.5 * 0.96 ** (0.004 * t))


def _move_by_share(
    w: np.ndarray, g: np.ndarray, v: np.ndarray, lr: Any, epsilon: float, scratch: np.ndarray
) -> None:
    """``w -= lr g / (sqrt(v) + epsilon)``, in place."""
    update = np.sqrt(v, out=scratch)
    update += epsilon
    np.divide(g, update, out=update)
    update *= lr
    w -= update


def _average(m: np.ndarray, g: np.ndarray, beta: float, scratch: np.ndarray) -> None:
    """``m = beta m + (1 - beta) g``, in place."""
    m *= beta
    m += np.multiply(g, 1 - beta, out=scratch)


def _average_of_squares(v: np.ndarray, g: np.ndarray, beta: float, scratch: np.ndarray) -> None:
    """``v = beta v + (1 - beta) g^2``, in place."""
    v *= beta
    np.square(g, out=scratch)
    scratch *= 1 - beta
    v += scratch


OPTIMIZERS: dict[str, Callable[[], Optimizer]] = {
    "sgd": SGD,
    "momentum": partial(SGD, momentum=0.9),
    "nesterov": partial(SGD, momentum=0.9, nesterov=True),
    "adagrad": AdaGrad,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
    "nadam": Nadam,
}
