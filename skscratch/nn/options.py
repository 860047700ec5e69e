"""Options: the small objects that configure a network, and their names.

Activations, losses, initializers, optimizers, schedules and embeddings are all dataclasses whose
fields are their hyperparameters. Each module has a table from names to its classes, and `lookup`
turns a name into an object. Training never changes an option: moments, step numbers and random
streams live in objects of the run.

Explained in the course: activations.
"""

import copy
import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from typing import Any, Self, TypeVar

import numpy as np

T = TypeVar("T", bound="Options")


@dataclass(frozen=True)
class Interval:
    """A range of real numbers, printed in mathematical notation.

    Parameters
    ----------
    low, high : float
        The ends.
    closed : {"left", "right", "both", "neither"}, default="left"
        Which ends belong to the interval.

    Examples
    --------
    >>> print(Interval(0, 1))
    [0, 1)
    >>> 1 in Interval(0, 1)
    False
    """

    low: float
    high: float
    closed: str = "left"

    def __contains__(self, value: Any) -> bool:
        above = value >= self.low if self.closed in ("left", "both") else value > self.low
        below = value <= self.high if self.closed in ("right", "both") else value < self.high
        return above and below

    def __str__(self) -> str:
        opening = "[" if self.closed in ("left", "both") else "("
        closing = "]" if self.closed in ("right", "both") else ")"
        return f"{opening}{self.low:g}, {self.high:g}{closing}"


FRACTION = Interval(0, 1)
POSITIVE = Interval(0, math.inf, closed="neither")
NON_NEGATIVE = Interval(0, math.inf)
REAL_LINE = Interval(-math.inf, math.inf, closed="neither")


def check_real(name: str, value: Any, interval: Interval) -> float:
    """Return ``value`` as a Python float if it is a real number in ``interval``.

    Raises
    ------
    TypeError
        If it is a bool, or not a real number.
    ValueError
        If it is NaN or, as a float, outside the interval.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(
            f"{name} must be a number in {interval}, got {value!r} of type {type(value).__name__}."
        )
    try:
        number = float(value)
    except OverflowError as error:
        raise ValueError(
            f"{name} must be a number in {interval}, got one beyond the range of float64."
        ) from error
    if number not in interval:
        raise ValueError(f"{name} must be a number in {interval}, got {value!r}.")
    return number


def check_integer(name: str, value: Any, minimum: int) -> int:
    """Return ``value`` as a Python int if it is an integer >= ``minimum``.

    Raises
    ------
    TypeError
        If it is a bool, or not an integer.
    ValueError
        If it is below the minimum.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(
            f"{name} must be an integer >= {minimum}, got {value!r} of type {type(value).__name__}."
        )
    if value < minimum:
        raise ValueError(f"{name} must be an integer >= {minimum}, got {value!r}.")
    return int(value)


def real(default: float, interval: Interval) -> Any:
    """Declare a field of an option that holds a real number in ``interval``."""
    return _checked(default, lambda name, value: check_real(name, value, interval))


def integer(default: int, minimum: int) -> Any:
    """Declare a field of an option that holds an integer >= ``minimum``."""
    return _checked(default, lambda name, value: check_integer(name, value, minimum))


def boolean(default: bool) -> Any:
    """Declare a field of an option that holds True or False."""

    def check(name: str, value: Any) -> None:
        if not isinstance(value, bool | np.bool_):
            raise TypeError(f"{name} must be True or False, got {value!r}.")

    return _checked(default, check)


def _checked(default: Any, check: Callable[[str, Any], Any]) -> Any:
    return field(default=default, metadata={"check": check})


@dataclass
class Options:
    """Base of all options: hyperparameters by name, with scikit-learn's methods for them.

    A subclass is a dataclass whose fields are the hyperparameters. The constructor accepts any
    value and `validate` checks them, so in a grid search the error comes from ``fit``.
    """

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the hyperparameters as a dict from name to value.

        Parameters
        ----------
        deep : bool, default=True
            No effect, since options hold no further objects; scikit-learn passes it.
        """
        return {name: getattr(self, name) for name in self._names()}

    def set_params(self, **params: Any) -> Self:
        """Set hyperparameters by name and return the object.

        Raises
        ------
        ValueError
            If a name is not one of the object's hyperparameters.
        """
        for name, value in params.items():
            if name not in self._names():
                raise ValueError(
                    f"{type(self).__name__} has no parameter {name!r}; "
                    f"it has {', '.join(self._names()) or 'none'}."
                )
            setattr(self, name, value)
        return self

    def validate(self) -> None:
        """Raise a ``ValueError`` or ``TypeError`` if a hyperparameter is invalid."""
        for item in fields(self):
            if check := item.metadata.get("check"):
                check(f"{type(self).__name__}({item.name}=...)", getattr(self, item.name))

    @classmethod
    def _names(cls) -> list[str]:
        return [item.name for item in fields(cls)]


def lookup(kind: str, value: Any, table: Mapping[str, Callable[[], T]], base: type[T]) -> T:
    """Return a new object for a name, or a copy of an object.

    Its fields are Python scalars. NumPy's float64 scalars, as in a search grid, would turn float32
    loops into double ones.

    Parameters
    ----------
    kind : str
        The kind of object, for error messages: ``"activation"``.
    value : str or object
        A name in the table, or an object of the kind.
    table : dict
        Maps each name to a callable that makes the object.
    base : type
        The base class of all objects of the kind.

    Returns
    -------
    option : object
        The object, validated. Later changes of ``value`` do not affect it.

    Raises
    ------
    ValueError
        If the name is unknown, or a hyperparameter out of its range.
    TypeError
        If the value is neither a name nor an object of the kind.
    """
    if isinstance(value, str):
        if value not in table:
            lower = value.lower()
            near = [lower] if lower in table else difflib.get_close_matches(lower, table, n=3)
            hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise ValueError(
                f"Unknown {kind} {value!r}.{hint} Choose from "
                f"{', '.join(map(repr, sorted(table)))}."
            )
        value = table[value]()
    elif isinstance(value, type) and issubclass(value, base):
        raise TypeError(f"{kind} must be an object, got the class {value.__name__}; call it.")
    elif not isinstance(value, base):
        raise TypeError(
            f"{kind} must be a name ({', '.join(map(repr, sorted(table)))}) or an object derived "
            f"from {base.__name__}, got {value!r} of type {type(value).__name__}."
        )
    value = copy.deepcopy(value)
    value.validate()
    for name, item in value.get_params().items():
        if isinstance(item, np.generic):
            setattr(value, name, item.item())
    return value
