"""The gallery: the form of each example; a sweep, marked slow, runs them all."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(ROOT.joinpath("examples").glob("*.py"))
PACKAGES = {"joblib", "matplotlib", "numpy", "pandas", "scipy", "skscratch", "sklearn"}
PACKAGES |= {"threadpoolctl"}  # comes with scikit-learn


@pytest.fixture(params=EXAMPLES, ids=lambda path: path.stem)
def example(request):
    return request.param


def test_the_gallery_is_the_folder_whole():
    paths = [path for path in (ROOT / "examples").iterdir() if path.name[0] not in "._"]
    files = {path.name for path in paths if path.suffix != ".png"}  # a figure of a run in there
    assert EXAMPLES
    assert files == {"GALLERY_HEADER.rst", *(path.name for path in EXAMPLES)}
    tree = ast.parse((ROOT / "docs/conf.py").read_text("utf-8"))
    (settings,) = (
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "sphinx_gallery_conf"
    )
    assert (ROOT / "docs" / settings["examples_dirs"]).resolve() == ROOT / "examples"
    assert not {"filename_pattern", "ignore_pattern"} & set(settings)  # each would leave some out


def test_each_example_is_in_one_section_of_the_gallery():
    page = (ROOT / "docs/gallery.rst").read_text("utf-8")
    assert sorted(re.findall(r"\.\./examples/(\w+\.py)", page)) == [path.name for path in EXAMPLES]


def test_examples_that_pages_refer_to_are_there():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.rst")]
    for folder in ("api", "course", "guide"):
        pages += ROOT.glob(f"docs/{folder}/*.rst")
    pattern = r"(?:\bexamples/|auto_examples/|auto_examples_)(plot_\w+)"
    names = [name for page in pages for name in re.findall(pattern, page.read_text("utf-8"))]
    assert names
    assert set(names) <= {path.stem for path in EXAMPLES}


def test_sphinx_gallery_runs_it(example):
    assert example.name.startswith("plot_")


def test_begins_with_a_title_and_a_question(example):
    docstring = ast.get_docstring(ast.parse(example.read_text("utf-8")))
    above, title, below, blank, *rest = docstring.splitlines()
    assert set(above) == set(below) == {"="}
    assert len(above) == len(title) == len(below)
    assert blank == ""
    assert any("?" in line for line in rest)


def test_titles_of_sections_are_underlined_whole(example):
    lines = example.read_text("utf-8").splitlines()
    underlined = [i for i, line in enumerate(lines) if re.fullmatch(r"# -{4,}", line)]
    assert underlined
    for i in underlined:
        assert lines[i - 2] == "# %%"
        assert len(lines[i - 1]) == len(lines[i])


def test_takes_no_data_from_elsewhere(example):
    tree = ast.parse(example.read_text("utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = [alias.name for node in imports for alias in node.names]
    modules = [node.module for node in imports if isinstance(node, ast.ImportFrom)]
    modules += [
        alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names
    ]
    assert {module.split(".")[0] for module in modules} <= PACKAGES | sys.stdlib_module_names
    assert not [name for name in names if name.startswith("fetch_")]


def test_saves_its_figure_where_there_is_no_screen(example):
    name = example.stem.removeprefix("plot_")
    ending = example.read_text("utf-8").split('if plt.get_backend().lower() == "agg":')[-1]
    assert f'figure.savefig("{name}.png"' in ending
    assert ending.endswith("else:\n    plt.show()\n")


@pytest.mark.slow
def test_runs_alone_without_a_warning(example, tmp_path):
    from matplotlib.image import imread

    root = str(example.parents[1])
    environment = {"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", "PYTHONPATH": root}
    run = subprocess.run(
        [sys.executable, example],
        cwd=tmp_path,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    (file,) = tmp_path.glob("*.png")
    assert np.ptp(imread(file)) == 1.0  # from black to white
