"""What ``verbose=True`` shows: a progress bar in a terminal, a line per epoch elsewhere."""

import math
import sys
from typing import Any


class Progress:
    """Shows each epoch's row of the history, of ``n_epochs`` at most.

    In a terminal it is a bar of rich or tqdm, whichever is installed; otherwise, and in files and
    pipes, a line of text for each epoch.
    """

    def __init__(self, n_epochs: int, title: str):
        self._title = title
        self._bar = _make_bar(n_epochs, title) if sys.stdout.isatty() else None

    def __call__(self, row: dict[str, Any]) -> None:
        """Show an epoch."""
        text = f"loss {row['loss']:.6f}"
        if not math.isnan(row["validation_score"]):
            text += f", validation score {row['validation_score']:.4f}"
        if self._bar is None:
            print(f"{self._title} {row['epoch']}: {text}")
        else:
            self._bar.advance(text)

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.close()


def _make_bar(n_epochs: int, title: str) -> Any:
    for bar in (_RichBar, _TqdmBar):
        try:
            return bar(n_epochs, title)
        except ImportError:
            continue
    return None


class _RichBar:
    def __init__(self, n_epochs: int, title: str):
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._progress = Progress(
            TextColumn(title), MofNCompleteColumn(), BarColumn(), TextColumn("{task.description}")
        )
        self._task = self._progress.add_task("", total=n_epochs)
        self._progress.start()

    def advance(self, text: str) -> None:
        self._progress.update(self._task, advance=1, description=text)

    def close(self) -> None:
        self._progress.stop()


class _TqdmBar:
    def __init__(self, n_epochs: int, title: str):
        from tqdm.auto import tqdm  # type: ignore[import-untyped,unused-ignore]

        self._bar = tqdm(total=n_epochs, desc=title)

    def advance(self, text: str) -> None:
        self._bar.set_postfix_str(text, refresh=False)
        self._bar.update()

    def close(self) -> None:
        self._bar.close()
