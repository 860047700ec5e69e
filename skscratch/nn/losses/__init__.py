r"""Losses: link, loss and gradient in one object.

The network's last layer is linear; its outputs Z are called logits. A loss owns the inverse link,
the function that turns logits into predictions (softmax, logistic, identity, exp), so nobody can
pair a loss with the wrong output activation. It computes everything from the logits, so the log
of 0 never occurs.

Shapes: Z and the targets Y are ``(..., batch, n_outputs)``. Row weights are ``(..., batch, 1)``
with mean 1 over the training set; weights for each output are ``(..., batch, n_outputs)``. Leading
axes are networks side by side, which may share Y and weights without those axes. The value, of
shape ``(...)``, is the weighted sum over the batch's rows divided by their number; the gradient is
its derivative.

Explained in the course: loss.
"""

from collections.abc import Callable

from .base import Loss
from .classification import Focal, LogisticFocal, LogisticLogLoss, SoftmaxLogLoss
from .regression import AbsoluteError, Gamma, Huber, Pinball, Poisson, SquaredError

# A classifier's "log_loss" and "focal" stand for the softmax form with three or more exclusive
# classes, and for the logistic form with two classes or with labels, see `Loss.for_labels`.
LOSSES: dict[str, Callable[[], Loss]] = {
    "log_loss": SoftmaxLogLoss,
    "binary_log_loss": LogisticLogLoss,
    "focal": Focal,
    "binary_focal": LogisticFocal,
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": Huber,
    "quantile": Pinball,
    "poisson": Poisson,
    "gamma": Gamma,
}
