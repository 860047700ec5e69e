"""The summary of a network: its layers, and what they take in memory and in computation."""

from dataclasses import dataclass
from typing import Any

from .._fitting.lbfgs import LBFGS
from ..nn.layers import Activate, Dense, Dropout, Layer
from ..nn.step import Learner
from ..nn.workspace import Workspace
from ._passes import layer_names, named_parameters
from ._report import data_frame, html_table, page, show_bytes, text_table
from ._subject import look_at

_COLUMNS = (
    "layer",
    "kind",
    "outputs",
    "arrays",
    "parameters",
    "FLOPs forward",
    "backward",
)


@dataclass(frozen=True, repr=False)
class Summary:
    """What `summary` found; it prints as a table.

    Attributes
    ----------
    title : str
        What is summarized.
    rows : list of tuple
        For each layer its name, its kind, the number of its outputs, its arrays with their shapes,
        the number of its parameters, and the floating-point operations for a row on the way
        forward, and on the way back.
    memory : dict of str to int
        Bytes of ``"parameters"``, of ``"statistics"`` (running averages of batch normalization),
        and in training besides of the ``"gradient"``, of the ``"optimizer"``'s state if there is
        one, and of the ``"workspace"`` that each row of a batch takes.
    n_networks : int
        How many such networks there are. All other numbers are those of one.
    """

    title: str
    rows: list[tuple[str, str, int, str, int, int, int]]
    memory: dict[str, int]
    n_networks: int = 1

    @property
    def n_parameters(self) -> int:
        """Number of trainable parameters."""
        return sum(row[4] for row in self.rows)

    @property
    def forward_flops(self) -> int:
        """Floating-point operations for a row on the way forward."""
        return sum(row[5] for row in self.rows)

    @property
    def backward_flops(self) -> int:
        """Floating-point operations for a row on the way back."""
        return sum(row[6] for row in self.rows)

    def to_frame(self) -> Any:
        """Return the rows as a `pandas.DataFrame`."""
        return data_frame(_COLUMNS, self.rows)

    def _notes(self) -> list[str]:
        sizes = {name: show_bytes(n) for name, n in self.memory.items()}
        optimizer = f"optimizer {sizes['optimizer']}, " if "optimizer" in sizes else ""
        several = [f"All numbers are those of one of {self.n_networks} networks"]
        return [
            *several[: self.n_networks > 1],
            f"Parameters: {self.n_parameters:,}",
            f"Memory: {sizes['parameters']} of parameters, "
            f"{sizes['statistics']} of running averages",
            f"In training also: gradient {sizes['gradient']}, {optimizer}"
            f"{sizes['workspace']} for each row of a batch",
            f"Cost of a row: {self.forward_flops:,} FLOPs to predict, "
            f"{self.forward_flops + self.backward_flops:,} to train on",
        ]

    def __repr__(self) -> str:
        return "\n".join([self.title, "", text_table(_COLUMNS, self.rows), "", *self._notes()])

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{note}</p>" for note in self._notes())
        return page(self.title, html_table(_COLUMNS, self.rows), notes)


def summary(estimator: Any, *, member: int = 0) -> Summary:
    """Summarize a fitted network: layers, shapes, parameters, memory and cost.

    Parameters
    ----------
    estimator : ScratchMLPClassifier, ScratchMLPRegressor, Pipeline, nn.Network or nn.Learner
        A fitted estimator (before, the numbers of inputs and outputs are not known), a fitted
        pipeline that ends in one, or a network of ``skscratch.nn``. An optimizer's memory is known
        of its Learner.
    member : int, default=0
        The number of the network, if there are several. All are built alike.

    Returns
    -------
    summary : Summary
        It prints as a table, shows as HTML in a notebook, and has `Summary.to_frame`.

    Raises
    ------
    TypeError
        If the estimator is none of these.
    ValueError
        If there is no such network.
    sklearn.exceptions.NotFittedError
        If it is not fitted.

    Notes
    -----
    A floating-point operation (FLOP) is an addition or a multiplication of the affine maps. With n
    inputs and m outputs they make ``2 n m`` for a row forward, ``X W + b``, and backward
    ``2 n m + m`` for ``dW = X^T dZ`` and ``db``, and ``2 n m`` for ``dX = dZ W^T``, which the first
    layer does without. Everything else (activations, normalization, loss, scaling, optimizer) is
    done element by element, and not counted. Sparse inputs take less than that.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skscratch import ScratchMLPClassifier
    >>> from skscratch.inspection import summary
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = ScratchMLPClassifier((16,), activation="relu", feature_scaling="robust",
    ...                            n_networks=4, random_state=0)
    >>> summary(clf.fit(X, y))
    ScratchMLPClassifier: 4 → 16 → 3 in float64, member=0 of 4 networks
    <BLANKLINE>
    layer         kind    outputs  arrays                parameters  FLOPs forward  backward
    dense 1       Dense        16  W (4, 16), b (1, 16)          80            128       144
    activation 1  ReLU()       16                                 0              0         0
    dense 2       Dense         3  W (16, 3), b (1, 3)           51             96       195
    <BLANKLINE>
    All numbers are those of one of 4 networks
    Parameters: 131
    Memory: 1.0 KiB of parameters, 0 B of running averages
    In training also: gradient 1.0 KiB, optimizer 2.0 KiB, 304 B for each row of a batch
    Cost of a row: 224 FLOPs to predict, 563 to train on
    """
    subject = look_at(estimator, member=member)
    network, learner = subject.network, subject.learner
    rows = []
    n_units = network.sizes[0]
    for name, layer, arrays in zip(
        layer_names(network),
        network.layers,
        named_parameters(network, network.parameters),
        strict=True,
    ):
        n_units = getattr(layer, "n_out", n_units)  # others have as many outputs as inputs
        shapes = ", ".join(f"{key} {array.shape}" for key, array in arrays.items())
        size = sum(array.size for array in arrays.values())
        rows.append((name, _kind(layer), n_units, shapes, size, *_flops(layer)))
    workspace = Workspace(network, 1, training=True)
    memory = {
        "parameters": network.parameters.vector.nbytes,
        "statistics": network.statistics.vector.nbytes,
        "gradient": network.parameters.vector.nbytes,
        **({} if learner is None else {"optimizer": _optimizer_bytes(learner)}),
        "workspace": sum(array.nbytes for array in workspace._arrays),
    }
    title = f"{subject.title} in {network.dtype}{subject.note}"
    return Summary(title, rows, memory, subject.n_networks)


def _kind(layer: Layer) -> str:
    if isinstance(layer, Activate):
        return repr(layer.activation)
    return f"Dropout(rate={layer.rate:g})" if isinstance(layer, Dropout) else type(layer).__name__


def _optimizer_bytes(learner: Learner) -> int:
    if isinstance(learner.optimizer, LBFGS):  # SciPy keeps pairs of differences, in float64
        return 2 * learner.optimizer.memory * 8 * learner.network.parameters.vector.size
    return sum(moment.nbytes for moment in learner.state.moments)


def _flops(layer: Layer) -> tuple[int, int]:
    """Return the operations of a layer's products for a row, forward and backward."""
    if not isinstance(layer, Dense):
        return 0, 0
    product = 2 * layer.n_in * layer.n_out
    return product, product + layer.n_out + (product if layer.input_gradient else 0)
