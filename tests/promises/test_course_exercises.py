"""The exercises to program tell what is wrong, and let the chapter's answer pass."""

import re
import runpy
import textwrap
from pathlib import Path

import pytest

COURSE = Path(__file__).parents[2] / "docs" / "course"
EXERCISES = {"leaky_relu": "activations", "huber": "loss", "momentum": "optimization"}


def load(name):
    return runpy.run_path(str(COURSE / "exercises" / f"{name}.py"))


def judged(name, answer):
    """Return what an exercise says of an answer."""
    names = load(name)
    check = names["check"]
    own = check.__globals__
    written = {}
    exec(textwrap.dedent(answer), own, written)
    if name == "leaky_relu":
        own["LeakyReLU"].backward = written["backward"]
    else:
        own.update(written)
    return check()


def answer_of(name):
    """Return the answer that the chapter gives."""
    text = (COURSE / f"{EXERCISES[name]}.rst").read_text(encoding="utf-8")
    part = text.split(f"literalinclude:: exercises/{name}.py")[1]
    return re.search(r"code-block:: python\n\n((?: {9}.*\n)+)", part)[1]


def test_each_has_its_place():
    assert {path.stem for path in (COURSE / "exercises").glob("*.py")} == set(EXERCISES)


@pytest.mark.parametrize("name", EXERCISES)
def test_the_stub_fails_with_a_hint(name, capsys):
    assert "still the stub" in load(name)["check"]()
    runpy.run_path(str(COURSE / "exercises" / f"{name}.py"), run_name="__main__")
    assert capsys.readouterr().out.startswith("Not yet: ")


@pytest.mark.parametrize("name", EXERCISES)
def test_the_answer_passes(name):
    assert judged(name, answer_of(name)).startswith("Right")


@pytest.mark.parametrize(
    ("name", "answer", "hint"),
    [
        ("leaky_relu", "def backward(self, dA, Z, A): return dA * Z", "should write it to dA"),
        ("leaky_relu", "def backward(self, dA, Z, A): dA = dA * Z", "only names a new array"),
        (
            "leaky_relu",
            "def backward(self, dA, Z, A): dA[...] = np.where(Z > 0, 1, self.slope)",
            "The chain rule multiplies it by dA",
        ),
        ("leaky_relu", "def backward(self, dA, Z, A): dA *= Z > 0", "at z = -2 with dA = 1"),
        (
            "leaky_relu",
            "def backward(self, dA, Z, A): dA *= np.where(Z > 0.2, 1, self.slope)",
            "not in a network",
        ),
        ("huber", "def gradient(Z, Y, delta): np.clip(Z - Y, -delta, delta)", "returns nothing"),
        ("huber", "def gradient(Z, Y, delta): return (Z - Y).ravel()", "has the shape of Z"),
        (
            "huber",
            "def gradient(Z, Y, delta): return np.clip(Y - Z, -delta, delta)",
            "signs are all reversed",
        ),
        (
            "huber",
            "def gradient(Z, Y, delta): return np.clip(Z - Y, -delta, delta) / len(Z)",
            "the mean over the rows",
        ),
        ("huber", "def gradient(Z, Y, delta): return Z - Y", "the squared error"),
        ("huber", "def gradient(Z, Y, delta): return np.sign(Z - Y)", "for z = 0.5, y = 0"),
        ("huber", "def gradient(Z, Y, delta): return np.clip(Z - Y, -1.5, 1.5)", "wrong for 0.7"),
        ("momentum", "def step(w, v, g, rate, beta): w = w - rate * g", "w has not moved"),
        ("momentum", "def step(w, v, g, rate, beta): w -= rate * g", "v is still 0"),
        (
            "momentum",
            "def step(w, v, g, rate, beta):\n    v *= beta\n    v += rate * g\n    w += v",
            "goes uphill",
        ),
        (
            "momentum",
            "def step(w, v, g, rate, beta):\n    v *= beta\n    v -= g\n    w += v",
            "the first step should lead to",
        ),
        (
            "momentum",
            "def step(w, v, g, rate, beta):\n    v[...] = -rate * g\n    w += v",
            "without momentum",
        ),
        (
            "momentum",
            "def step(w, v, g, rate, beta):\n    v -= rate * g\n    w += v",
            "How much of the first step is kept",
        ),
    ],
)
def test_a_mistake_is_named(name, answer, hint):
    said = judged(name, answer)
    assert said.startswith("Not yet: ")
    assert hint in said
