"""What Sphinx adds to the course: the table of the records, the notebooks and the animations."""

import ast
import json
import sys
from pathlib import Path

import pytest

pytest.importorskip("sphinx")
pytest.importorskip("pandas")

ROOT = Path(__file__).parents[2]


@pytest.fixture
def course(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "benchmarks"))
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_extensions"))
    import course

    yield course
    ours = ("course", "_notebooks", "_protocol", "_common", "_text", "ablation")
    for name in ours:
        sys.modules.pop(name, None)


def record(data, system, error, task="classification"):
    return {
        "data": data,
        "task": task,
        "family": "main",
        "half": "development",
        "position": 0,
        "seed": 0,
        "system": system,
        "n_test": 1000,
        "fit_seconds": 1.0,
        "error": error,
        "loss": error,
    }


def test_the_table_is_of_the_records(course):
    records = [record(*each) for each in (("a", "the defaults", 0.10), ("a", "n_networks=1", 0.12))]
    rows = {row[0]: row[1:] for row in course.worth_rows({"records": records})}
    assert rows["several networks"][1].startswith("+20.0 %")
    assert rows["several networks"][3] == course.UNMEASURED  # no regression
    unmeasured = course.UNMEASURED
    assert rows["label smoothing"][1:] == [unmeasured, unmeasured, "has none", unmeasured]


def test_the_table_can_do_without_records(course):
    rows = course.worth_rows(None)
    assert len(rows) == len(course.PARTS)
    assert all(course.UNMEASURED in row for row in rows)


def test_each_variant_of_the_table_is_measured_by_the_ablation(course):
    import ablation

    assert set(course.PARTS.values()) <= set(ablation.VARIANTS)


PAGE = """
A chapter
=========

Some :math:`x` and *more* of ``code``.

.. math:: x = 1

>>> a = 1
>>> a + 1  # doctest: +UNKNOWN
2
>>> a / 0
Traceback (most recent call last):
    ...
ZeroDivisionError: division by zero

Exercises
---------

1. What?

   - this
   - that

2. And what?
"""


def test_a_chapter_becomes_a_notebook(course, tmp_path):
    from docutils.core import publish_doctree

    notebook = course.make_notebook(publish_doctree(PAGE), tmp_path / "chapter.rst")
    json.dumps(notebook)
    text, first, second, rest = notebook["cells"]
    assert "Some $x$ and *more* of `code`." in text["source"]
    assert "$$\nx = 1\n$$" in text["source"]
    assert first["source"] == "a = 1\na + 1"
    assert second["source"] == "a / 0"
    assert second["metadata"] == {"tags": ["raises-exception"]}
    assert "**1.** What?\n\n- this\n- that\n\n**2.** And what?" in rest["source"]
    assert [cell["cell_type"] for cell in notebook["cells"]] == [
        "markdown",
        "code",
        "code",
        "markdown",
    ]


@pytest.mark.parametrize("path", sorted((ROOT / "docs/course/animations").glob("*.py")), ids=str)
def test_an_animation_is_called_so(path):
    tree = ast.parse(path.read_text("utf-8"))
    assert tree.body[-1].targets[0].id == "animation"
