"""What contains MLPs: pipelines, ensembles, and searches with their grids."""

import copy
from collections.abc import Iterator, Mapping
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from .correspondence import MLPS
from .grids import Translate, translate_grid

# What asks its members for decision_function if they have one, as ours do, and for predict_proba
# otherwise; and where its fitted members are.
PREFER_LOGITS = {
    "_CalibratedClassifier": "estimator",
    "OneVsOneClassifier": "estimators_",
    "OutputCodeClassifier": "estimators_",
}


def is_mlp(part: Any) -> bool:
    """Say whether an object is scikit-learn's MLP, and of no derived class."""
    return type(part) in MLPS


def contained(whole: Any) -> Iterator[Any]:
    """Yield an object and all objects that it is made of, each once."""
    seen: dict[int, Any] = {}  # the objects too, lest one that is made on the way goes, and its id
    waiting = [whole]
    while waiting:
        part = waiting.pop()
        if id(part) in seen or isinstance(part, type | ModuleType | FunctionType):
            continue
        seen[id(part)] = part
        yield part
        if isinstance(part, MLPS):
            continue
        if isinstance(part, Mapping):
            waiting += part.values()
        elif isinstance(part, list | tuple | set | frozenset):
            waiting += part
        elif isinstance(part, np.ndarray) and part.dtype == object:
            waiting += part.ravel().tolist()
        waiting += getattr(part, "__dict__", {}).values()


def check_responses(part: Any, memo: dict[int, Any]) -> None:
    """Refuse what would ask its converted members for other numbers than it was fitted to."""
    attribute = PREFER_LOGITS.get(type(part).__name__, "")
    members = getattr(part, attribute, [])
    for member in members if isinstance(members, list | tuple) else [members]:
        converted = memo.get(id(member))
        if hasattr(converted, "decision_function") and not hasattr(member, "decision_function"):
            raise ValueError(
                f"The fitted {type(part).__name__.lstrip('_')} has learned from probabilities, and "
                f"would ask the converted {type(member).__name__} for its decision_function. "
                "Convert it unfitted, from_sklearn(sklearn.base.clone(...)), and fit the result."
            )


def translate_search(search: Any, memo: dict[int, Any], translate_changes: Translate) -> None:
    """Translate the parameters of a search in its copy, and what it has found."""
    kind = "param_grid" if hasattr(search, "param_grid") else "param_distributions"
    if id(search) not in memo or not (hasattr(search, kind) and hasattr(search, "estimator")):
        return
    converted = memo[id(search)]

    def translate(grid: Mapping[str, Any]) -> list[dict[str, Any]]:
        grids = translate_grid(grid, search.estimator, is_mlp, translate_changes)
        return copy.deepcopy(grids, memo)

    def translate_params(params: dict[str, Any]) -> dict[str, Any]:
        (grid,) = translate({name: [value] for name, value in params.items()})
        return {name: value for name, (value,) in grid.items()}

    given = getattr(search, kind)
    grids = [translate(grid) for grid in ([given] if isinstance(given, Mapping) else given)]
    if kind == "param_distributions" and len(grids) > 1 and max(map(len, grids)) > 1:
        raise ValueError(
            "from_sklearn cannot translate param_distributions: one of its dicts becomes several, "
            "and would be drawn more often than the others. Give a search for each."
        )
    flat = [grid for parts in grids for grid in parts]
    setattr(converted, kind, flat[0] if isinstance(given, Mapping) and len(flat) == 1 else flat)
    if hasattr(search, "best_params_"):
        converted.best_params_ = translate_params(search.best_params_)
    if hasattr(search, "cv_results_"):
        params = [translate_params(params) for params in search.cv_results_["params"]]
        converted.cv_results_ = _with_params(converted.cv_results_, params)


def _with_params(results: dict[str, Any], params: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the results of a search with other parameters, in columns as scikit-learn has them."""
    columns = {}
    for name in dict.fromkeys(name for candidate in params for name in candidate):
        column = np.ma.masked_all(len(params), dtype=object)
        for i, candidate in enumerate(params):
            if name in candidate:
                column[i] = candidate[name]
        columns[f"param_{name}"] = column
    kept = {name: column for name, column in results.items() if not name.startswith("param_")}
    same = {name: results[name] for name in columns if name in results}
    return {**columns, **same, **kept, "params": params}
