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
    pattern = r"^\.\. literalinclude:: (\S+)\n   :caption: (skscratch\S+)\n   :pyobject: (\S+)"
    return re.findall(pattern, read(chapter), re.M)


def test_no_chapter_is_left_out():
    assert len(CHAPTERS) == 13
    assert {path.stem for path in COURSE.glob("*.rst")} == {"index", *CHAPTERS}


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_code_shown_exists(chapter):
    includes = shown(chapter)
    assert len(includes) == read(chapter).count("literalinclude:: ../../skscratch")
    for path, caption, name in includes:
        assert (COURSE / path).resolve().as_posix().endswith(caption)
        # That of the package tested, which need not be the one beside the documentation.
        source = Path(skscratch.__file__).parents[1] / caption
        assert name in definitions(ast.parse(source.read_text(encoding="utf-8")).body)


@pytest.mark.parametrize(("number", "chapter"), enumerate(CHAPTERS))
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


@pytest.mark.parametrize(
    ("directive", "folder"), [("plot", "figures"), ("animation", "animations")]
)
def test_each_figure_has_its_place(directive, folder):
    pattern = rf"^\.\. {directive}:: {folder}/(\w+)\.py$"
    used = re.findall(pattern, "".join(map(read, CHAPTERS)), re.M)
    assert used
    assert sorted(used) == sorted(path.stem for path in (COURSE / folder).glob("*.py"))


def modules():
    """Return the docstring of each module of the network, by its path."""
    root = Path(skscratch.__file__).parent / "nn"
    paths = [path for path in root.rglob("*.py") if path != root / "__init__.py"]
    return {
        path.relative_to(root).as_posix(): ast.get_docstring(ast.parse(path.read_text("utf-8")))
        for path in paths
    }


def explained(docstring):
    """Return the chapters that a docstring names."""
    (names,) = re.findall(r"^Explained in the course: ([\w, ]+)\.$", docstring, re.M)
    return names.split(", ")


def test_each_module_of_the_network_names_its_chapters():
    found = {path: explained(docstring) for path, docstring in modules().items()}
    assert len(found) > 20
    assert {name for names in found.values() for name in names} <= set(CHAPTERS)
    for chapter in CHAPTERS:
        for _, caption, _ in shown(chapter):
            if caption.startswith("skscratch/nn/"):
                assert chapter in found[caption.removeprefix("skscratch/nn/")]


def test_the_contents_name_the_same_chapters_as_the_modules():
    table = INDEX.split("- Explained in\n")[1].split(".. _course-notation:")[0]
    rows = re.findall(r"   \* - (.*)\n     - (.*)", table)
    listed = {
        path: re.findall(r":doc:`(\w+)`", chapters)
        for files, chapters in rows
        for path in re.findall(r"``([\w/.]+)``", files)
    }
    found = {re.sub("losses/.*", "losses/", path): explained(d) for path, d in modules().items()}
    assert listed == found


def test_references_to_the_network_are_to_public_names():
    from skscratch import nn

    for chapter in CHAPTERS:
        names = re.findall(r":\w+:`~?skscratch\.nn\.(\w+)`", read(chapter))
        assert names
        assert set(names) <= set(nn.__all__)
