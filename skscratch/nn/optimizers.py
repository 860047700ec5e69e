r"""Optimizers: how the gradient moves the parameters.

Each follows its paper's formula for the parameters ``w``, their gradient ``g``, the
``learning_rate`` and the step number ``t = 1, 2, ...``. An optimizer knows nothing of layers: it
changes one flat vector in place, or an array of shape ``(..., P)`` for a stack of networks.

The optimizer itself never changes. ``init`` makes the `State` of a run; ``step`` updates it::

    optimizer = Adam(beta2=0.95)
    state = optimizer.init(w)
    optimizer.step(w, g, 0.001, state)

Scalars are Python floats: NumPy's float64 would turn float32 loops into slower double ones.

Explained in the course: optimization.
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
    """An optimizer's memory from step to step.

    Attributes
    ----------
    moments : tuple of ndarray of shape (..., P)
        Running averages or sums, as the optimizer defines them.
    scratch : tuple of ndarray of shape (..., block)
        Room for intermediate results, each for a block of parameters.
    t : int
        Number of steps so far.
    """

    moments: tuple[np.ndarray, ...]
    scratch: tuple[np.ndarray, ...]
    t: int = 0

    def __getstate__(self) -> dict[str, Any]:
        # Of scratch, only the size matters.
        return {**self.__dict__, "scratch": [(room.shape, room.dtype.str) for room in self.scratch]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.scratch = tuple(np.empty(shape, dtype) for shape, dtype in state["scratch"])


class Optimizer(Options):
    """Base of the optimizers.

    Attributes
    ----------
    n_moments, n_scratch : int
        Number of arrays in the state's ``moments`` and ``scratch``.
    state_type : type
        The class of the state.
    decoupled_decay : bool
        Whether L2 shrinks the weights directly, and not through the loss.
    full_batch : bool
        Whether the optimizer has its own loop over all rows, `minimize`.
    """

    n_moments: ClassVar[int] = 0
    n_scratch: ClassVar[int] = 1
    state_type: ClassVar[type[State]] = State
    decoupled_decay: ClassVar[bool] = False
    full_batch: ClassVar[bool] = False

    def init(self, w: np.ndarray) -> State:
        """Make the state for parameters ``w`` of shape (..., P)."""
        return self._make_state(w, self.n_moments)

    def _make_state(self, w: np.ndarray, n_moments: int) -> State:
        return self.state_type(
            # Unlike np.zeros_like, np.zeros takes no memory until the first write.
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
            Their gradient, which does not change.
        learning_rate : float or ndarray of shape (..., 1)
            The learning rate of this step, one for all networks or one for each.
        state : State
            The run's state from `init`; updated.
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
        """Move the network to a minimum over all rows. A full-batch optimizer defines this.

        Parameters
        ----------
        learner : Learner
            The network and how it learns.
        batches : Batches
            The data, in a single batch.
        max_iter : int
            The most iterations.
        begin : callable
            Call it once for each iteration, before ``end_epoch``.
        end_epoch : callable
            Call it at the end of each iteration, when the network holds the new parameters. It
            takes a dict of ``loss``, ``learning_rate`` and ``gradient_norm``, and the iteration's
            starting time. If it returns True, end the search.

        Returns
        -------
        reason : str
            Why the search ended without convergence; empty if it converged or had to end.
        """
        raise NotImplementedError

    def _count(self, state: State) -> None:
        """Update the scalars of the state, once per step."""
        state.t += 1

    def _move(self, w, g, learning_rate: Any, state: Any, *arrays: np.ndarray) -> None:
        """Move a block of parameters; ``arrays`` are its moments and scratch."""
        raise NotImplementedError


@dataclass
class SGD(Optimizer):
    r"""Stochastic gradient descent, optionally with momentum.

    ``v = momentum v - learning_rate g;  w += v``. Nesterov's form looks ahead by one step with the
    new v: ``w += momentum v - learning_rate g``.

    Parameters
    ----------
    momentum : float, default=0.0
        Share of the last update that is kept, in [0, 1).
    nesterov : bool, default=False
        Whether to look ahead; no effect without momentum.

    References
    ----------
    Sutskever, Martens, Dahl and Hinton (2013), "On the importance of initialization and
    momentum in deep learning", ICML.
    """

    momentum: float = real(0.0, FRACTION)
    nesterov: bool = boolean(False)

    def init(self, w):
        return self._make_state(w, n_moments=1 if self.momentum else 0)

    def _move(self, w, g, learning_rate, state, *arrays):
        *moments, scratch = arrays
        scaled = np.multiply(g, learning_rate, out=scratch)
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


class _ScaledSteps(Optimizer):
    """``w -= learning_rate g / (sqrt(v) + epsilon)``, for AdaGrad and RMSprop."""

    n_moments: ClassVar[int] = 1
    epsilon: float

    def _move(self, w, g, learning_rate, state, v, scratch):
        self._take_squares(v, g, scratch)
        update = np.sqrt(v, out=scratch)
        update += self.epsilon
        np.divide(g, update, out=update)
        update *= learning_rate
        w -= update

    def _take_squares(self, v: np.ndarray, g: np.ndarray, scratch: np.ndarray) -> None:
        raise NotImplementedError


@dataclass
class AdaGrad(_ScaledSteps):
    """``v += g^2;  w -= learning_rate g / (sqrt(v) + epsilon)``.

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

    def _take_squares(self, v, g, scratch):
        v += np.square(g, out=scratch)


@dataclass
class RMSprop(_ScaledSteps):
    """``v = rho v + (1 - rho) g^2;  w -= learning_rate g / (sqrt(v) + epsilon)``.

    Parameters
    ----------
    rho : float, default=0.9
        Decay of the running average, in [0, 1).
    epsilon : float, default=1e-8
        Keeps the division defined, > 0.

    References
    ----------
    Tieleman and Hinton (2012), "Lecture 6.5: RMSprop", Coursera. The lecture has no epsilon;
    PyTorch, Keras and this class add it outside the root.
    """

    rho: float = real(0.9, FRACTION)
    epsilon: float = real(1e-8, POSITIVE)

    def _take_squares(self, v, g, scratch):
        _average_of_squares(v, g, self.rho, scratch)


@dataclass
class Adam(Optimizer):
    """Adaptive moments: steps of about ``learning_rate``, whatever the gradient's scale.

    ::

        m = beta1 m + (1 - beta1) g         m_hat = m / (1 - beta1^t)
        v = beta2 v + (1 - beta2) g^2       v_hat = v / (1 - beta2^t)
        w -= learning_rate m_hat / (sqrt(v_hat) + epsilon)

    To save two passes over the parameters, the state holds the sums ``M = m / (1 - beta1)`` and
    ``V = v / (1 - beta2)``, for which ``M = beta1 M + g`` and ``V = beta2 V + g^2``. With
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
        True follows the paper's Algorithm 1, as above. False follows the faster form that the paper
        gives after it and scikit-learn uses, ``learning_rate sqrt(1 - beta2^t) / (1 - beta1^t) *
        m / (sqrt(v) + epsilon)``, where epsilon weighs more in the first steps.

    References
    ----------
    Kingma and Ba (2015), "Adam: a method for stochastic optimization", arXiv:1412.6980.
    """

    beta1: float = real(0.9, FRACTION)
    beta2: float = real(0.999, FRACTION)
    epsilon: float = real(1e-8, POSITIVE)
    correct_epsilon: bool = boolean(True)

    n_moments: ClassVar[int] = 2

    def _move(self, w, g, learning_rate, state, M, V, scratch):
        M *= self.beta1
        M += g
        V *= self.beta2
        V += np.square(g, out=scratch)
        # sqrt(v_hat) + epsilon = (sqrt(V) + epsilon c) / c. All scalar factors go to step_size.
        c = math.sqrt((1 - self.beta2**state.t) / (1 - self.beta2))
        step_size = learning_rate * c * (1 - self.beta1) / (1 - self.beta1**state.t)
        update = np.sqrt(V, out=scratch)
        update += self.epsilon * (c if self.correct_epsilon else 1 / math.sqrt(1 - self.beta2))
        np.divide(M, update, out=update)
        update *= step_size
        w -= update


@dataclass
class AdamW(Adam):
    """Adam with decoupled weight decay: besides Adam's step, ``W -= learning_rate l2 W``.

    Adam would rescale an L2 gradient like any other. Decoupled decay shrinks all weights (not
    biases) by the same share. `Learner.move` applies it, since an optimizer cannot tell weights
    from biases. Parameters as `Adam`'s.

    References
    ----------
    Loshchilov and Hutter (2019), "Decoupled weight decay regularization", arXiv:1711.05101.
    """

    decoupled_decay: ClassVar[bool] = True


@dataclass
class NadamState(State):
    """State, and the product of Nadam's momenta so far."""

    mu_product: float = 1.0


@dataclass
class Nadam(Optimizer):
    """Adam with Nesterov's momentum.

    ::

        mu_t = beta1 (1 - 0.5 * 0.96^(0.004 t))
        m = mu_t m + (1 - mu_t) g
        v = beta2 v + (1 - beta2) g^2
        m_hat = mu_{t+1} m / (1 - mu_1...mu_{t+1}) + (1 - mu_t) g / (1 - mu_1...mu_t)
        w -= learning_rate m_hat / (sqrt(v / (1 - beta2^t)) + epsilon)

    Parameters
    ----------
    beta1 : float, default=0.9
        The momentum that mu_t approaches, in [0, 1).
    beta2, epsilon : float, default=0.999 and 1e-8
        As `Adam`'s.

    References
    ----------
    Dozat (2016), "Incorporating Nesterov momentum into Adam", ICLR workshop, Algorithm 2 with
    the momentum schedule that it recommends. In m, PyTorch has beta1 instead of mu_t.
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

    def _move(self, w, g, learning_rate, state, m, v, scratch, more_scratch):
        mu, mu_next = self._momentum(state.t), self._momentum(state.t + 1)
        m *= mu
        m += np.multiply(g, 1 - mu, out=scratch)
        _average_of_squares(v, g, self.beta2, scratch)
        of_m = learning_rate * mu_next / (1 - state.mu_product * mu_next)
        of_g = learning_rate * (1 - mu) / (1 - state.mu_product)
        update = np.multiply(m, of_m, out=scratch)
        update += np.multiply(g, of_g, out=more_scratch)
        root = np.sqrt(v, out=more_scratch)
        root *= 1 / math.sqrt(1 - self.beta2**state.t)
        root += self.epsilon
        update /= root
        w -= update

    def _momentum(self, t: int) -> float:
        return self.beta1 * (1 - 0.5 * 0.96 ** (0.004 * t))


def _average_of_squares(v: np.ndarray, g: np.ndarray, beta: float, scratch: np.ndarray) -> None:
    """``v = beta v + (1 - beta) g^2``, in place."""
    v *= beta
    v += np.multiply(np.square(g, out=scratch), 1 - beta, out=scratch)


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
