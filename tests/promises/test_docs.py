"""The pages of the documentation are complete: public names, scikit-learn's parameters, pages."""

import doctest
import inspect
import re
from pathlib import Path

import pytest
from sklearn.datasets import load_iris
from sklearn.neural_network import MLPClassifier, MLPRegressor

import skscratch
from skscratch import (
    ScratchMLPClassifier,
    ScratchMLPRegressor,
    callbacks,
    inspection,
    model_selection,
    nn,
)

DOCS = Path(__file__).parents[2] / "docs"
MIGRATION = (DOCS / "guide/migration.rst").read_text("utf-8")


def listed():
    """Return the full names that the API pages list, those of their toctrees among them."""
    names = set()
    for path in (DOCS / "api").glob("*.rst"):
        module = ""
        for line in path.read_text("utf-8").splitlines():
            if match := re.fullmatch(r"\.\. currentmodule:: (\S+)", line):
                module = match[1] + "."
            elif match := re.fullmatch(r"(?:\.\. py:data::)? +([\w.]+)", line):
                names.add(module + match[1])
    return names


def public(module):
    """Return a module's public names: what `__all__` says, or else the classes it defines."""
    if hasattr(module, "__all__"):
        return set(module.__all__)
    classes = inspect.getmembers(module, inspect.isclass)
    return {name for name, cls in classes if cls.__module__ == module.__name__ and name[0] != "_"}


@pytest.mark.parametrize(
    "module", [skscratch, callbacks, inspection, model_selection, nn], ids=lambda m: m.__name__
)
def test_every_public_name_is_in_the_api_reference(module):
    names = public(module)
    if module is nn:  # what both have is listed once, where users import it from
        names -= {name for name in skscratch.__all__ if hasattr(nn, name)}
    assert names
    assert {f"{module.__name__}.{name}" for name in names} - listed() == set()


def test_what_is_public_twice_is_the_same():
    shared = set(skscratch.__all__) & set(nn.__all__)
    assert shared
    assert all(getattr(skscratch, name) is getattr(nn, name) for name in shared)


@pytest.mark.parametrize("mlp", [MLPClassifier(), MLPRegressor()], ids=lambda m: type(m).__name__)
def test_the_migration_page_names_every_parameter_and_attribute_of_scikit_learn(mlp):
    fitted = mlp.set_params(max_iter=1000, early_stopping=True).fit(*load_iris(return_X_y=True))
    names = {name for name in vars(fitted) if name[0] != "_"}
    assert {"alpha", "coefs_"} <= names
    assert {name for name in names if not re.search(rf"``{name}\b", MIGRATION)} == set()


@pytest.mark.parametrize("ours", [ScratchMLPClassifier(), ScratchMLPRegressor()])
def test_the_migration_page_names_every_parameter_and_method_of_ours(ours):
    methods = {name for name, value in vars(type(ours)).items() if inspect.isfunction(value)}
    names = {name for name in {*ours.get_params(), *methods} if name[0] != "_"}
    assert {name for name in names if not re.search(rf"``{name}\b", MIGRATION)} == set()


def test_the_migration_page_has_the_defaults_of_both():
    parameters = MIGRATION.split("Parameters\n===")[1].split("Attributes\n===")[0]
    regressor = ScratchMLPRegressor().get_params()
    ours = {**regressor, **ScratchMLPClassifier().get_params(), "loss": regressor["loss"]}
    theirs = MLPRegressor().get_params() | MLPClassifier().get_params()
    tables = re.findall(r"^=+  =.*?^=+  =.*?^=+  =", parameters, re.MULTILINE | re.DOTALL)
    checked = 0
    for params, column, table in (
        (theirs, 0, tables[0]),
        (ours, 1, tables[0]),
        (ours, 0, tables[2]),
    ):
        for line in table.splitlines():
            cell = re.split(r"  +", line)[column : column + 1]
            if cell and (match := re.match(r"``(\w+)=([^`]+)``", cell[0])) and match[1] in params:
                assert match[2].replace('"', "'") == repr(params[match[1]]), line
                checked += 1
    assert checked > 40


def test_the_api_page_has_each_parameter_in_one_group():
    page = (DOCS / "api/estimators.rst").read_text("utf-8")
    table = page.split("Parameters, by use\n---")[1].split("Tools\n===")[0].split("=====\nEvery")[1]
    named = re.findall(r"``(\w+)``(?: \((C|R)\))?", table.split("\n====")[0])
    classifier, regressor = ScratchMLPClassifier().get_params(), ScratchMLPRegressor().get_params()
    assert sorted(name for name, _ in named) == sorted(classifier | regressor)
    for name, only in named:
        where = {"": (True, True), "C": (True, False), "R": (False, True)}[only]
        assert (name in classifier, name in regressor) == where


def test_the_guide_explains_each_choice_of_the_plan():
    page = (DOCS / "guide/networks.rst").read_text("utf-8")
    X, y = load_iris(return_X_y=True)
    choices = set()
    for params in ({}, {"early_stopping": True}):
        plan = ScratchMLPClassifier((2,), max_iter=2, **params).fit(X, y).plan_
        choices |= set(plan.why)
    assert {"n_networks", "n_held_out"} <= choices
    assert {
        name for name in choices if not re.search(rf"^``{name}`` ", page, re.MULTILINE)
    } == set()
    assert {name for name in plan.seconds if f"- ``{name}``: " not in page} == set()


def test_every_page_of_the_guide_is_in_its_contents():
    guide = DOCS / "guide"
    contents = (guide / "index.rst").read_text("utf-8").split()
    assert {path.stem for path in guide.glob("*.rst")} - {"index", *contents} == set()


def test_an_example_that_fails_fails_the_build_but_lets_it_end():
    # Else the build would leave all pages without MathJax and the dark theme's colors of code.
    assert '"only_warn_on_example_error": True' in (DOCS / "conf.py").read_text("utf-8")
    for path in (".ci/run", ".github/workflows/docs.yml"):
        builds = re.findall("-m sphinx .*", (DOCS.parent / path).read_text("utf-8"))
        assert builds
        assert all(" -W --keep-going " in build for build in builds)


def test_twenty_errors_at_least_have_their_message_in_the_guide():
    page = (DOCS / "guide/errors.rst").read_text("utf-8")  # which is run as a doctest
    assert page.count("Traceback (most recent call last):") >= 20


@pytest.mark.parametrize("page", ["first_hour", "getting_started"])
def test_the_first_pages_show_what_comes_out(page):
    examples = doctest.DocTestParser().get_examples((DOCS / f"guide/{page}.rst").read_text("utf-8"))
    assert len(examples) > 20
    assert not [example.source for example in examples if "..." in example.want]
