"""The course shows the source as it is, and each chapter has what makes a chapter."""

import ast
import re
from pathlib import Path

import pytest

import skscratch

COURSE = Path(__file__).parents[2] / "docs" / "course"
INDEX = (COURSE / "index.rst").read_text(encoding="utf-8")
CHAPTERS = re.findall(r"^   (\w+)$", INDEX.split(".. toctree::")[1].split("\n\nHow")[0], re.M)


def read(chapter):
    return (COURSE / f"{chapter}.rst").read_text(encoding="utf-8")


def definitions(body, prefix=""):
    """Return the dotted names of all functions and classes below a syntax tree."""
    names = set()
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names |= {prefix + node.name, *definitions(node.body, f"{prefix}{node.name}.")}
    return names


def shown(chapter):
    pattern = r"\.\. literalinclude:: (\S+)\n   :caption: (\S+)\n   :pyobject: (\S+)"
    return re.findall(pattern, read(chapter))


def test_no_chapter_is_left_out():
    assert len(CHAPTERS) == 11
    assert {path.stem for path in COURSE.glob("*.rst")} == {"index", *CHAPTERS}


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_code_shown_exists(chapter):
    includes = shown(chapter)
    assert len(includes) == read(chapter).count("literalinclude")
    for path, caption, name in includes:
        assert (COURSE / path).resolve().as_posix().endswith(caption)
        # That of the package tested, which need not be the one beside the documentation.
        source = Path(skscratch.__file__).parents[1] / caption
        assert name in definitions(ast.parse(source.read_text(encoding="utf-8")).body)


@pytest.mark.parametrize(("number", "chapter"), enumerate(CHAPTERS, start=1))
def test_chapter_is_complete(number, chapter):
    text = read(chapter)
    assert text.startswith(f"{number}. ")
    assert text.count(".. math::") >= 2
    assert shown(chapter)
    assert re.search(r"^\.\. plot:: figures/\w+\.py\n.*\n   :alt: ", text, re.M)
    headings = re.findall(r"^(.+)\n-+$", text, re.M)
    assert {"In the source", "An experiment", "Exercises", "References"} <= set(headings)
    assert re.search(r"^>>> .*\n[^>.\n]", text, re.M), "an experiment prints something"
    exercises = text.split("\nExercises\n")[1].split("\nReferences\n")[0]
    assert exercises.count(".. dropdown:: Answer") == len(re.findall(r"^\d\. ", exercises, re.M))


def test_each_figure_has_its_place():
    used = re.findall(r"^\.\. plot:: figures/(\w+)\.py$", "".join(map(read, CHAPTERS)), re.M)
    assert sorted(used) == sorted(path.stem for path in (COURSE / "figures").glob("*.py"))


def test_references_to_the_network_are_to_public_names():
    from skscratch import nn

    for chapter in CHAPTERS:
        names = re.findall(r":\w+:`~?skscratch\.nn\.(\w+)`", read(chapter))
        assert names
        assert set(names) <= set(nn.__all__)
