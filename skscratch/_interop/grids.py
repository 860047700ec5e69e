"""Parameter grids of scikit-learn's MLP turned into grids of ours.

A parameter there is not always one parameter here: ``solver``, ``momentum`` and their like make an
optimizer together, and ``learning_rate`` and ``power_t`` a schedule, which scikit-learn ignores
unless the solver is ``"sgd"``. Such parameters are translated together, combination by combination.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from itertools import product
from typing import Any

RENAMED = {"alpha": "l2", "learning_rate_init": "learning_rate"}

# Parameters that are not translated one by one, with what each has a part in.
JOINT = {
    "solver": ("optimizer", "lr_schedule"),
    **dict.fromkeys(
        ("momentum", "nesterovs_momentum", "beta_1", "beta_2", "epsilon", "max_fun"),
        ("optimizer",),
    ),
    **dict.fromkeys(("learning_rate", "power_t"), ("lr_schedule",)),
}

# A distribution has no values to translate; it moves to the parameter of the object.
NESTED = {
    "momentum": "optimizer__momentum",
    "beta_1": "optimizer__beta1",
    "beta_2": "optimizer__beta2",
    "epsilon": "optimizer__epsilon",
    "max_fun": "optimizer__max_fun",
    "power_t": "lr_schedule__power",
}

Translate = Callable[[Any, dict[str, Any]], dict[str, Any]]
"""``translate(mlp, changes)`` returns our parameters for an MLP with some parameters changed."""


def translate_grid(
    grid: Mapping[str, Any], model: Any, is_mlp: Callable[[Any], bool], translate: Translate
) -> list[dict[str, Any]]:
    """Translate the names and values of a grid that belong to an MLP.

    Parameters
    ----------
    grid : dict of str to sequence or distribution
        Values of parameters, as a search takes them.
    model : estimator
        What the search fits, with scikit-learn's MLP in it.
    is_mlp : callable
        Says whether an object is such an MLP.
    translate : callable
        Translates an MLP's parameters.

    Returns
    -------
    grids : list of dict
        The same choices: one grid, or several where parameters of ours depend on each other.

    Raises
    ------
    ValueError
        If there is no such grid; the message names the parameter.
    """
    others: dict[str, Any] = {}
    groups: dict[str, dict[str, Any]] = {}
    mlps: dict[str, list[Any]] = {}
    for key, values in grid.items():
        prefix, _, name = key.rpartition("__")
        targets = _targets(prefix, grid, model)
        mlps[prefix] = [target for target in targets if is_mlp(target)]
        if not mlps[prefix]:
            others[key] = values
            continue
        if len(mlps[prefix]) < len(targets):
            raise _untranslatable(key, "it belongs to MLPs and to other estimators")
        if isinstance(values, str) or not (
            isinstance(values, Iterable) or _is_distribution(values)
        ):
            raise _untranslatable(key, f"{values!r} is neither a list nor a distribution")
        groups.setdefault(prefix, {})[name] = values
    choices: list[list[dict[str, Any]]] = [[others]]
    for prefix, group in groups.items():
        joint = {name: values for name, values in group.items() if name in JOINT}
        found = _translate_alone(prefix, group, mlps[prefix], translate)
        choices += [[found], _translate_jointly(prefix, joint, mlps[prefix], translate)]
    return [{key: part[key] for part in parts for key in part} for parts in product(*choices)]


def _targets(prefix: str, grid: Mapping[str, Any], model: Any) -> list[Any]:
    """Return the objects whose parameter is set: of the model, or those that the grid puts in."""
    path = prefix.split("__") if prefix else []
    for i in range(len(path), 0, -1):
        values = grid.get("__".join(path[:i]))
        if isinstance(values, Iterable):
            return [_part(value, path[i:]) for value in values]
    return [_part(model, path)]


def _part(model: Any, path: list[str]) -> Any:
    if not path or not hasattr(model, "get_params"):
        return model
    return model.get_params().get("__".join(path))


def _translate_alone(
    prefix: str, group: dict[str, Any], mlps: list[Any], translate: Translate
) -> dict[str, Any]:
    """Translate the parameters that each have one counterpart."""
    found = {}
    for name, values in group.items():
        if name not in JOINT:
            ours = RENAMED.get(name, name)
            found[_join(prefix, ours)] = (
                values
                if _is_distribution(values)
                else [translate(mlps[0], {name: value})[ours] for value in values]
            )
    return found


def _translate_jointly(
    prefix: str, group: dict[str, Any], mlps: list[Any], translate: Translate
) -> list[dict[str, Any]]:
    """Translate the parameters that make objects together."""
    if not group:
        return [{}]
    first = _join(prefix, next(iter(group)))
    if len(mlps) > 1:
        raise _untranslatable(first, "it belongs to several MLPs, which may use it in other ways")
    mlp = mlps[0]
    spread = [name for name, values in group.items() if _is_distribution(values)]
    if spread:
        key, nested = _join(prefix, spread[0]), NESTED.get(spread[0], "")
        owner, _, parameter = nested.partition("__")
        if len(group) > 1:
            together = ", ".join(_join(prefix, name) for name in group)
            raise _untranslatable(key, f"of {together} only lists can be translated together")
        if not hasattr(translate(mlp, {}).get(owner), parameter or "-"):
            raise _untranslatable(key, f"the MLP makes no use of it with solver={mlp.solver!r}")
        return [{_join(prefix, nested): group[spread[0]]}]
    names = list(dict.fromkeys(ours for name in group for ours in JOINT[name]))
    combinations: list[list[Any]] = []
    for values in product(*group.values()):
        ours = translate(mlp, dict(zip(group, values, strict=True)))
        _add_new(combinations, [ours[name] for name in names])
    columns: list[list[Any]] = [[] for _ in names]
    for combination in combinations:
        for column, value in zip(columns, combination, strict=True):
            _add_new(column, value)
    if math.prod(map(len, columns)) > len(combinations):
        columns_of = [[[value] for value in combination] for combination in combinations]
    else:
        columns_of = [columns]
    keys = [_join(prefix, name) for name in names]
    return [dict(zip(keys, values, strict=True)) for values in columns_of]


def _add_new(values: list[Any], value: Any) -> None:
    # Optimizers and schedules are compared by value, and are not hashable.
    if value not in values:
        values.append(value)


def _join(prefix: str, name: str) -> str:
    return f"{prefix}__{name}" if prefix else name


def _is_distribution(values: Any) -> bool:
    return hasattr(values, "rvs")


def _untranslatable(key: str, why: str) -> ValueError:
    return ValueError(f"from_sklearn cannot translate the parameter {key!r} of a search: {why}.")
