"""The network of forty lines is that of the package, and the chapter on it shows it as it is."""

import contextlib
import io
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

from skscratch.nn import (
    SGD,
    Architecture,
    Batches,
    HeNormal,
    Learner,
    LogisticLogLoss,
    Network,
    ReLU,
    fit,
)

COURSE = Path(__file__).parents[2] / "docs" / "course"
SCRIPT = COURSE / "forty_lines.py"
CHAPTER = (COURSE / "forty_lines.rst").read_text(encoding="utf-8")


def code_lines():
    lines = [line.strip() for line in SCRIPT.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line and not line.startswith(("#", '"""', "import"))]


@pytest.fixture(scope="module")
def run():
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        names = runpy.run_path(str(SCRIPT))
    return names, printed.getvalue()


def test_gives_the_weights_of_the_package(run):
    names, _ = run
    rng = np.random.default_rng(0)
    rng.random(200), rng.standard_normal((200, 2))  # the data
    network = Network(Architecture([2, 16, 1], [ReLU()]))
    network.initialize([HeNormal(), HeNormal()], [rng])
    start = network.parameters.vector.copy()
    learner = Learner(network, LogisticLogLoss(), SGD(momentum=0.9), 0.05)
    batches = Batches(names["X"], names["Y"], batch_size=20, streams=[rng])
    fit(learner, batches, epochs=100)
    theirs = np.concatenate([w.ravel() for w in names["parameters"]])
    assert np.abs(theirs - start).max() > 1  # it has learned something
    np.testing.assert_allclose(network.parameters.vector, theirs, rtol=1e-9, atol=1e-9)


def test_prints_what_the_chapter_says(run):
    _, printed = run
    shown = re.search(r"It prints\n\n.. code-block:: text\n\n((?:   .*\n)+)", CHAPTER)[1]
    assert [line.strip() for line in shown.splitlines()] == printed.splitlines()


def test_has_about_forty_lines():
    assert len(code_lines()) <= 40


def test_each_line_has_its_counterpart():
    table = CHAPTER.split("grown-up counterpart\n")[1].split(".. plot::")[0]
    listed = re.findall(r"``(.+?)``$", table, re.M)
    assert sorted(set(listed) & set(code_lines())) == sorted(set(code_lines()))
