"""A set of sparse text: the first words of docstrings, and which package they are from.

The docstrings are those of functions and classes in packages that skscratch and its plots need, so
that nothing has to be downloaded. Other versions of them make somewhat another set.
"""

import ast
import importlib.util
import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from sklearn.feature_extraction.text import TfidfVectorizer

CLASSES = (
    "matplotlib",
    "numpy",
    "pandas",
    "scipy.linalg",
    "scipy.ndimage",
    "scipy.optimize",
    "scipy.signal",
    "scipy.sparse",
    "scipy.stats",
    "sklearn",
)
NAME = "text"
DOCUMENTS_PER_CLASS = 200
N_WORDS = 80
N_FEATURES = 4_000
_FEWEST_WORDS = 12
# Names of the packages and what they are imported as would give the answer away.
_GIVEAWAYS = {"mpl", "np", "pd", "plt", "xp"} | {
    part for name in CLASSES for part in name.split(".")
}


def _docstrings(package: str) -> Iterator[str]:
    """Yield the first words of each docstring of a package, its tests left out."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"The set of text is made of docstrings of {package}: install it.")
    folder = Path(spec.origin).parent
    for path in sorted(folder.rglob("*.py")):
        if "tests" in path.relative_to(folder).parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                words = re.findall(r"[a-z]+", (ast.get_docstring(node) or "").lower())
                words = [word for word in words if word not in _GIVEAWAYS][:N_WORDS]
                if len(words) >= _FEWEST_WORDS:
                    yield " ".join(words)


@cache
def read_documents() -> tuple[list[str], list[str]]:
    """Return the texts and the classes that they are of."""
    texts, labels = [], []
    for name in CLASSES:
        found = sorted(set(_docstrings(name)))
        drawn = random.Random(0).sample(found, min(DOCUMENTS_PER_CLASS, len(found)))
        texts += drawn
        labels += [name] * len(drawn)
    return texts, labels


def make_vectorizer() -> TfidfVectorizer:
    """Return what turns texts into a sparse matrix."""
    return TfidfVectorizer(max_features=N_FEATURES, sublinear_tf=True)
