"""How reports are shown: tables as text and as HTML, numbers, and data frames."""

import importlib
from collections.abc import Sequence
from html import escape
from typing import Any

# Colors are the page's own, thinned out, so that a dark page gets a dark report.
_STYLE = """<style>
.skscratch-report {font-size: 0.9em; line-height: 1.4}
.skscratch-report table {border-collapse: collapse; margin: 0.5em 0; display: block;
  overflow-x: auto; font-size: inherit}
.skscratch-report th, .skscratch-report td {padding: 0.2em 0.7em; text-align: left;
  vertical-align: top; border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent);
  background: transparent}
.skscratch-report .dataframe :is(td, thead th) {text-align: right; white-space: nowrap}
.skscratch-report .number {text-align: right; font-variant-numeric: tabular-nums}
.skscratch-report td.number {white-space: nowrap}
.skscratch-report pre {margin: 0.3em 0; overflow-x: auto; background: transparent; color: inherit;
  line-height: 1.3}
.skscratch-report details {border-left: 2px solid color-mix(in srgb, currentColor 25%, transparent);
  padding-left: 0.8em; margin: 0.3em 0}
.skscratch-report summary {cursor: pointer}
.skscratch-report p {margin: 0.3em 0}
.skscratch-report .faint {opacity: 0.7}
.skscratch-report .badge {border: 1px solid currentColor; border-radius: 0.3em; padding: 0 0.4em}
</style>"""


def page(title: str, *parts: str) -> str:
    """Put pieces of HTML into one that stands alone."""
    head = f"<p><strong>{escape(title)}</strong></p>"
    return f'{_STYLE}<div class="skscratch-report">{head}{"".join(parts)}</div>'


def text_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Lay out a table as lines of text, numbers to the right."""
    cells = [list(header), *([show(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    numeric = _numeric(header, rows)
    lines = [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in cells
    ]
    return "\n".join(lines)


def html_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Lay out a table as HTML, numbers to the right; what is in the cells is escaped."""
    classes = [' class="number"' if right else "" for right in _numeric(header, rows)]

    def line(tag: str, cells: Sequence[str]) -> str:
        inner = (f"<{tag}{c}>{escape(x)}</{tag}>" for x, c in zip(cells, classes, strict=True))
        return f"<tr>{''.join(inner)}</tr>"

    body = "".join(line("td", [show(value) for value in row]) for row in rows)
    return f"<table><thead>{line('th', header)}</thead><tbody>{body}</tbody></table>"


def _numeric(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[bool]:
    """Tell for each column whether there are numbers in it and nothing else."""
    columns = [[row[i] for row in rows if row[i] is not None] for i in range(len(header))]
    return [
        bool(column) and all(isinstance(value, int | float) for value in column)
        for column in columns
    ]


def show(value: Any) -> str:
    """Write a table's cell: counts in full, other numbers in three digits, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def show_bytes(n: float) -> str:
    """Write a size in memory."""
    for unit in ("B", "KiB", "MiB"):
        if n < 1024:
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1024
    return f"{n:.1f} GiB"


def data_frame(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Any:
    """Make a data frame, for which pandas has to be installed."""
    pd = require("pandas", "A data frame")
    return pd.DataFrame([list(row) for row in rows], columns=list(columns))


def require(package: str, what: str) -> Any:
    """Import a package for plots and tables, or say how to get it."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ImportError(
            f"{what} needs {package.partition('.')[0]}, which is missing: "
            'pip install "skscratch[plots]"'
        ) from error
