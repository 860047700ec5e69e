"""The base of the losses: row losses become the weighted mean of a batch.

Explained in the course: loss.
"""

from typing import Any, ClassVar

import numpy as np

from ..options import REAL_LINE, Interval, Options


class Loss(Options):
    """Base of the losses.

    Your own loss is a dataclass whose fields are its parameters. It defines `row_losses`,
    `inverse_link` and ``out_activation``; everything else has a default. Compare its gradient with
    finite differences.

    The regressor takes any loss. It standardizes the targets only if ``out_activation`` is
    ``"identity"``; with any other link, predictions are in the targets' unit.

    In the classifier, a row of Y is one-hot. Two classes have a single 0 or 1 and one logit, that
    of the second class; multilabel targets have a 0 or 1 and a logit for each label (see
    `for_labels`). Label smoothing moves these values inside (0, 1). The inverse link must return
    probabilities that grow with the logits and, for two classes, satisfy ``p(-z) = 1 - p(z)``.

    Attributes
    ----------
    out_activation : str
        Name of the inverse link, in scikit-learn's spelling of ``out_activation_``:
        ``"identity"``, ``"exp"``, ``"softmax"``, ``"logistic"``, or another.
    target_domain : Interval
        Which targets are valid; any number by default.
    averages_outputs : bool
        Whether a row's loss is the mean over its outputs (the default) or their sum.

    Examples
    --------
    The logarithm of the hyperbolic cosine is smooth near 0, like the squared error, and grows like
    the absolute error:

    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> from skscratch.nn import Loss
    >>> @dataclass
    ... class LogCosh(Loss):
    ...     out_activation = "identity"
    ...
    ...     def row_losses(self, Z, Y, gradient_out):
    ...         R = Z - Y
    ...         gradient_out[...] = np.tanh(R)
    ...         return np.sum(np.logaddexp(R, -R) - np.log(2), axis=-1)
    ...
    ...     def inverse_link(self, Z):
    ...         return Z
    >>> gradient = np.empty((2, 1))
    >>> LogCosh().value_and_gradient(np.array([[0.0], [3.0]]), np.zeros((2, 1)), None, gradient)
    np.float64(1.15...)
    >>> gradient.ravel()
    array([0.        , 0.4975...])
    """

    out_activation: ClassVar[str]
    target_domain: ClassVar[Interval] = REAL_LINE
    averages_outputs: ClassVar[bool] = True

    def validate(self) -> None:
        super().validate()
        if not hasattr(self, "out_activation"):
            raise TypeError(
                f"{self!r} has no out_activation, the name of its inverse link: 'identity', 'exp', "
                "'softmax', 'logistic', or another."
            )

    def row_losses(self, Z: np.ndarray, Y: np.ndarray, gradient_out: np.ndarray) -> np.ndarray:
        """Compute each row's loss and its derivative with respect to the row's logits.

        Subclasses define this. They treat each row alone; `value_and_gradient` weighs and averages.

        Parameters
        ----------
        Z : ndarray of shape (..., batch, n_outputs)
            The logits; may be overwritten.
        Y : ndarray of shape (..., batch, n_outputs)
            The targets; must not change.
        gradient_out : ndarray of shape (..., batch, n_outputs)
            Receives the derivatives.

        Returns
        -------
        losses : ndarray of shape (..., batch)
            The losses, summed over the outputs, in a new array.
        """
        raise NotImplementedError

    def inverse_link(self, Z: np.ndarray) -> np.ndarray:
        """Turn logits of shape (..., batch, n_outputs) into predictions of the same shape.

        Each row must depend on itself alone, since prediction proceeds in blocks of rows. Z must
        not change.
        """
        raise NotImplementedError

    def initial_bias(self, Y: Any, weights: np.ndarray | None) -> np.ndarray:
        """Return the output layer's first biases in regression, 0 by default.

        Parameters
        ----------
        Y : ndarray of shape (n_samples, n_outputs)
            The targets.
        weights : ndarray of shape (n_samples, 1) or None
            Row weights; None means 1 everywhere.

        Returns
        -------
        b : ndarray of shape (n_outputs,)
            The biases.
        """
        return np.zeros(Y.shape[-1])

    def for_labels(self) -> "Loss":
        """Return the loss's form for independent yes/no labels, by default the loss itself."""
        return self

    def value_and_gradient(
        self,
        Z: np.ndarray,
        Y: np.ndarray,
        weights: np.ndarray | None,
        gradient_out: np.ndarray,
    ) -> np.ndarray:
        """Compute the mean loss of a batch and its derivative with respect to the logits.

        Parameters
        ----------
        Z : ndarray of shape (..., batch, n_outputs)
            The logits; they are overwritten.
        Y : ndarray of shape (..., batch, n_outputs)
            The targets.
        weights : ndarray of shape (..., batch, 1) or (..., batch, n_outputs), or None
            Weights of the rows, or of each output in each row; None means 1 everywhere.
        gradient_out : ndarray of shape (..., batch, n_outputs)
            Receives dL/dZ. Its last two axes are contiguous.

        Returns
        -------
        value : ndarray of shape (...)
            The loss.

        Raises
        ------
        ValueError
            If outputs that share a softmax have weights of their own, or if `row_losses` returns
            the wrong shape.
        """
        n_rows, n_outputs = Z.shape[-2:]
        divisor = n_rows * n_outputs if self.averages_outputs else n_rows
        if weights is not None and weights.shape[-1] > 1:
            # Independent outputs can each be a row of their own.
            if self.out_activation == "softmax":
                raise ValueError("The outputs of a softmax share one loss; give weights of rows.")
            Z, gradient_out, Y, weights = (
                array.reshape(*array.shape[:-2], n_rows * n_outputs, 1)
                for array in (Z, gradient_out, Y, weights)
            )
        losses = self.row_losses(Z, Y, gradient_out)
        if np.shape(losses) != Z.shape[:-1]:
            raise ValueError(
                f"{self!r}.row_losses has to return a loss for each row, in the shape "
                f"{Z.shape[:-1]}; got the shape {np.shape(losses)}."
            )
        gradient_out *= 1 / divisor
        if weights is None:
            return np.add.reduce(losses, axis=-1) / divisor
        gradient_out *= weights
        return np.vecdot(losses, weights[..., 0]) / divisor
