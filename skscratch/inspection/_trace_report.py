"""The report of a trace."""

from dataclasses import dataclass, field
from html import escape

import numpy as np

from ._report import page


@dataclass(frozen=True)
class TraceStep:
    """A step of a trace.

    Attributes
    ----------
    part : {"forward", "prediction", "loss", "backward", "update"}
        What the step belongs to.
    name : str
        What happens, or in which layer, such as ``"dense 1"``.
    equation : str
        How the results are computed.
    results : dict of str to ndarray
        What is computed, by the symbols of the equation.
    given : dict of str to ndarray
        The parameters and the other numbers that the step makes use of.
    """

    part: str
    name: str
    equation: str
    results: dict[str, np.ndarray]
    given: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class Trace:
    """What `trace` found: it prints as text, and ``trace["dW1"]`` is the array of that symbol.

    Attributes
    ----------
    title : str
        What was traced.
    steps : list of TraceStep
        All steps in order.
    """

    title: str
    steps: list[TraceStep]

    def __getitem__(self, symbol: str) -> np.ndarray:
        arrays = self._arrays()
        if symbol not in arrays:
            raise KeyError(f"There is no {symbol!r}; there are {', '.join(arrays)}.")
        return arrays[symbol]

    def _arrays(self) -> dict[str, np.ndarray]:
        return {
            k: v for step in self.steps for k, v in (*step.given.items(), *step.results.items())
        }

    def __repr__(self) -> str:
        lines, part = [self.title], ""
        for number, step in enumerate(self.steps, start=1):
            if step.part != part:
                part = step.part
                lines += ["", part.upper()]
            lines += ["", f"{number}. {step.name}: {step.equation}"]
            for symbol, array in step.given.items():
                lines += [_indent(f"with {symbol}", array)]
            for symbol, array in step.results.items():
                lines += [_indent(symbol, array)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        pieces, part = [], ""
        for number, step in enumerate(self.steps, start=1):
            if step.part != part:
                part = step.part
                pieces.append(f"<p><strong>{part.capitalize()}</strong></p>")
            shapes = ", ".join(f"{k} {_shape(v)}" for k, v in step.results.items())
            arrays = "".join(
                f'<p>{label}<code>{escape(symbol)}</code> <span class="faint">{_shape(array)}'
                f"</span></p><pre>{escape(_write(array))}</pre>"
                for label, group in (("with ", step.given), ("", step.results))
                for symbol, array in group.items()
            )
            pieces.append(
                f"<details><summary>{number}. {escape(step.name)}: "
                f"<code>{escape(step.equation)}</code> "
                f'<span class="faint">{escape(shapes)}</span></summary>{arrays}</details>'
            )
        return page(self.title, *pieces)


def _shape(array: np.ndarray) -> str:
    return "scalar" if array.ndim == 0 else str(array.shape)


def _write(array: np.ndarray) -> str:
    return np.array2string(array, precision=4, threshold=28, max_line_width=96)


def _indent(symbol: str, array: np.ndarray) -> str:
    values = _write(array).replace("\n", "\n     ")
    return f"   {symbol} {_shape(array)}\n     {values}"
