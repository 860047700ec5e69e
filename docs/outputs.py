"""Run the examples of pages, and write below each what it prints.

    python docs/outputs.py docs/guide/first_hour.rst

What stands there with an ellipsis in it is left as it is. Read the differences before committing:
the text around may speak of the numbers.
"""

import contextlib
import doctest
import io
import sys
import textwrap
import warnings
from pathlib import Path

import matplotlib as mpl

WIDTH = 90  # of the messages of errors


def run(example, namespace):
    """Return what an example prints, or how its error shows."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            exec(compile(example.source, "<example>", "single"), namespace)
        except Exception as error:
            kind = type(error)
            module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
            message = f"{module}{kind.__name__}: {error}"
            lines = [textwrap.fill(line, WIDTH) for line in message.strip().splitlines()]
            return "\n".join(["Traceback (most recent call last):", "    ...", *lines]) + "\n"
    return printed.getvalue()


def show(example, output):
    """Return an example and its output as they stand on a page."""
    first, *rest = example.source.splitlines()
    lines = [f">>> {first}", *(f"... {line}".rstrip() for line in rest)]
    lines += [line.rstrip() or "<BLANKLINE>" for line in output.splitlines()]
    return "".join(f"{' ' * example.indent}{line}".rstrip() + "\n" for line in lines)


def refresh(page):
    """Return a page's text with the outputs of its examples as they are now."""
    text, namespace = page.read_text("utf-8"), {"__name__": "page"}
    parts = []
    for part in doctest.DocTestParser().parse(text, str(page)):
        if isinstance(part, str):
            parts.append(part)
            continue
        output = run(part, namespace)
        elided = "..." in part.want.replace("    ...\n", "")
        parts.append(show(part, part.want if elided else output))
    return "".join(parts)


if __name__ == "__main__":
    mpl.use("agg")
    warnings.simplefilter("ignore")
    doctest.register_optionflag("NUMBER")  # pytest's
    for name in sys.argv[1:]:
        Path(name).write_text(refresh(Path(name)), "utf-8")
