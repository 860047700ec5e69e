"""The report of a diagnosis."""

from dataclasses import astuple, dataclass, fields
from html import escape
from typing import Any

import numpy as np

from .._interop.notebook import count
from .._range_test import RangeTest
from ._report import data_frame, html_table, page, text_table


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a network.

    Attributes
    ----------
    name : str
        What is wrong, such as ``"vanishing gradients"``.
    severity : {"error", "warning"}
        Whether the network cannot learn because of it, or learns less well.
    evidence : str
        What was measured.
    threshold : str
        What it was compared with.
    remedy : str
        What to change.
    layer : str or None
        Where it was found, as far as it belongs to layers.
    """

    name: str
    severity: str
    evidence: str
    threshold: str
    remedy: str
    layer: str | None = None


_FIELDS = tuple(field.name for field in fields(Finding))


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """What `diagnose` found; it prints as a report.

    Attributes
    ----------
    title : str
        What was examined.
    findings : list of Finding
        What is wrong, causes before their effects; empty if nothing is.
    notes : list of str
        What could not be examined, and why.
    range_test : RangeTest or None
        The learning rate range test, if one was made.
    statistics : dict of list
        A value for each affine map: its number ``layer``; ``mean_gradient`` and ``max_gradient``,
        mean and largest absolute value of the gradient of its weights; ``std_gradient``;
        ``update_ratio``, length of a step at the base learning rate in relation to that of the
        weights; of its activation ``dead_share`` and ``saturated_share``, as `LayerMonitor` says,
        and ``activation_mean`` and ``activation_std``. They are of the trained weights, or of the
        first ones if training failed.
    """

    title: str
    findings: list[Finding]
    notes: list[str]
    range_test: RangeTest | None
    statistics: dict[str, list[Any]]

    @property
    def layers(self) -> Any:
        """The statistics of the layers as a `pandas.DataFrame`."""
        return data_frame(tuple(self.statistics), self._layer_rows())

    def to_frame(self) -> Any:
        """Return the findings as a `pandas.DataFrame`, one a row."""
        return data_frame(_FIELDS, [astuple(finding) for finding in self.findings])

    def _layer_rows(self) -> list[tuple]:
        return list(zip(*self.statistics.values(), strict=True))

    def _layer_table(self) -> tuple[list[str], list[tuple]]:
        # Nothing stands where there is nothing to measure.
        rows = [
            tuple(None if isinstance(x, float) and np.isnan(x) else x for x in row)
            for row in self._layer_rows()
        ]
        return [name.replace("_", " ") for name in self.statistics], rows

    def _count(self) -> str:
        n = len(self.findings)
        return "Nothing was found." if n == 0 else f"{count(n, 'finding')}:"

    def __repr__(self) -> str:
        lines = [self.title, "", self._count()]
        for number, finding in enumerate(self.findings, start=1):
            place = f" in {finding.layer}" if finding.layer else ""
            lines += [
                "",
                f"{number}. {finding.name}{place} ({finding.severity})",
                f"   evidence:  {finding.evidence}",
                f"   threshold: {finding.threshold}",
                f"   remedy:    {finding.remedy}",
            ]
        lines += ["", *(f"Not examined: {note}" for note in self.notes)]
        lines += [""] if self.notes else []
        return "\n".join([*lines, text_table(*self._layer_table())])

    def _repr_html_(self) -> str:
        pieces = [f"<p>{self._count()}</p>"]
        for finding in self.findings:
            place = f" in {escape(finding.layer)}" if finding.layer else ""
            pieces.append(
                f'<details open><summary><span class="badge">{finding.severity}</span> '
                f"<strong>{escape(finding.name)}</strong>{place}</summary>"
                f"<p>{escape(finding.evidence)} "
                f'<span class="faint">(threshold: {escape(finding.threshold)})</span></p>'
                f"<p><strong>Remedy:</strong> {escape(finding.remedy)}</p></details>"
            )
        pieces += [f'<p class="faint">Not examined: {escape(note)}</p>' for note in self.notes]
        return page(self.title, *pieces, html_table(*self._layer_table()))
