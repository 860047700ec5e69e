import copy
import math
import pickle
import re
from dataclasses import dataclass, fields
from fractions import Fraction

import numpy as np
import pytest
from sklearn.base import clone

import skscratch.nn as nn
from skscratch.nn import lookup
from skscratch.nn.options import (
    FRACTION,
    POSITIVE,
    REAL_LINE,
    Interval,
    check_integer,
    check_real,
)

KINDS = {
    "activation": (nn.ACTIVATIONS, nn.Activation),
    "initializer": (nn.INITIALIZERS, nn.Initializer),
    "optimizer": (nn.OPTIMIZERS, nn.Optimizer),
    "schedule": (nn.SCHEDULES, nn.Schedule),
    "loss": (nn.LOSSES, nn.Loss),
    "embedding": (nn.EMBEDDINGS, nn.Embedding),
}
ENTRIES = [
    pytest.param(kind, name, id=f"{kind}-{name}")
    for kind, (table, _) in KINDS.items()
    for name in table
]
FIELDS = [
    pytest.param(make, item.name, id=f"{make().__class__.__name__}-{item.name}")
    for make in {repr(m()): m for table, _ in KINDS.values() for m in table.values()}.values()
    for item in fields(make())
]


def make(kind, name):
    table, base = KINDS[kind]
    return lookup(kind, name, table, base)


def another(value):
    """Another valid value of a hyperparameter."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 3
    return 0.25 if value == 0 else value * 0.75


def changed(option):
    """The same kind of object with every hyperparameter changed."""
    return type(option)(**{name: another(v) for name, v in option.get_params().items()})


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_round_trips(kind, name):
    for option in (make(kind, name), changed(make(kind, name))):
        option.validate()
        copies = [
            type(option)(**option.get_params()),
            type(option)().set_params(**option.get_params()),
            eval(repr(option), vars(nn)),
            clone(option),
            pickle.loads(pickle.dumps(option)),
            copy.deepcopy(option),
        ]
        for duplicate in copies:
            assert duplicate is not option
            assert type(duplicate) is type(option)
            assert duplicate == option
            assert repr(duplicate) == repr(option)
            assert duplicate.get_params() == option.get_params()


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_equality_is_by_kind_and_value(kind, name):
    option = make(kind, name)
    assert option == make(kind, name)
    assert option != object()
    for hyperparameter, value in option.get_params().items():
        other = make(kind, name).set_params(**{hyperparameter: another(value)})
        assert other != option
        assert repr(other) != repr(option)
        assert getattr(other, hyperparameter) == another(value)


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_names_are_exported_and_documented(kind, name):
    option = make(kind, name)
    assert type(option).__name__ in nn.__all__
    assert type(option).__doc__


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_set_params_refuses_unknown_names_and_lists_the_known(kind, name):
    option = make(kind, name)
    before = option.get_params()
    with pytest.raises(ValueError, match="no parameter 'nonsense'") as caught:
        option.set_params(nonsense=1)
    for known in before or ["none"]:
        assert known in str(caught.value)
    assert option.get_params() == before


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_get_params_is_a_copy(kind, name):
    option = make(kind, name)
    params = option.get_params(deep=False)
    params.update(dict.fromkeys(params))
    assert option == make(kind, name)


@pytest.mark.parametrize(("factory", "name"), FIELDS)
@pytest.mark.parametrize("value", [-1, math.nan, math.inf, "high", None, [0.5]])
def test_no_hyperparameter_takes_nonsense_and_only_validate_says_so(factory, name, value):
    option = factory().set_params(**{name: value})  # the constructor and set_params only store
    assert type(option)(**option.get_params()).get_params()[name] is value
    with pytest.raises((ValueError, TypeError)) as caught:
        option.validate()
    message = str(caught.value)
    assert type(option).__name__ in message
    assert name in message
    assert repr(value) in message


@pytest.mark.parametrize(
    ("option", "right"),
    [
        (nn.LeakyReLU(slope=-0.1), "[0, inf)"),
        (nn.ELU(alpha=0.0), "(0, inf)"),
        (nn.Normal(std=-0.01), "[0, inf)"),
        (nn.Orthogonal(gain=0.0), "(0, inf)"),
        (nn.SGD(momentum=1.0), "[0, 1)"),
        (nn.SGD(momentum=-0.1), "[0, 1)"),
        (nn.RMSprop(rho=1.0), "[0, 1)"),
        (nn.RMSprop(epsilon=0.0), "(0, inf)"),
        (nn.AdaGrad(epsilon=0.0), "(0, inf)"),
        (nn.Adam(beta1=1.0), "[0, 1)"),
        (nn.Adam(beta2=1.5), "[0, 1)"),
        (nn.Adam(epsilon=0.0), "(0, inf)"),
        (nn.AdamW(beta1=-0.1), "[0, 1)"),
        (nn.Nadam(beta2=1.0), "[0, 1)"),
        (nn.StepDecay(drop=0.0), "(0, 1]"),
        (nn.StepDecay(drop=1.1), "(0, 1]"),
        (nn.StepDecay(every=0), ">= 1"),
        (nn.ExponentialDecay(decay=0.0), "(0, 1]"),
        (nn.ExponentialDecay(decay=1.5), "(0, 1]"),
        (nn.InverseScaling(power=0.0), "(0, inf)"),
        (nn.Adaptive(factor=1.0), "(1, inf)"),
        (nn.Adaptive(minimum=0.0), "(0, inf)"),
        (nn.Periodic(n_frequencies=0), ">= 1"),
        (nn.Periodic(scale=0.0), "(0, inf)"),
        (nn.PiecewiseLinear(n_bins=1), ">= 2"),
    ],
    ids=repr,
)
def test_out_of_range_raises_value_error_with_what_would_be_right(option, right):
    with pytest.raises(ValueError, match=re.escape(right)):
        option.validate()


@pytest.mark.parametrize(
    "option",
    [
        nn.LeakyReLU(slope=0),
        nn.LeakyReLU(slope=2.0),
        nn.Normal(std=0.0),
        nn.SGD(momentum=0),
        nn.Adam(beta1=0.0, beta2=0.0),
        nn.StepDecay(drop=1.0, every=1),
        nn.ExponentialDecay(decay=1),
        nn.SGD(momentum=np.float32(0.5), nesterov=np.True_),
        nn.StepDecay(every=np.int64(5)),
    ],
    ids=repr,
)
def test_ends_of_the_ranges_and_numpy_scalars_are_fine(option):
    option.validate()


@pytest.mark.parametrize(
    "option",
    [
        nn.SGD(momentum=True),
        nn.SGD(momentum="0.9"),
        nn.SGD(nesterov=1),
        nn.Adam(correct_epsilon="yes"),
        nn.StepDecay(every=2.5),
        nn.StepDecay(every=True),
        nn.ELU(alpha=1j),
    ],
    ids=repr,
)
def test_wrong_types_raise_type_error(option):
    with pytest.raises(TypeError):
        option.validate()


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_lookup_makes_a_new_object_each_time(kind, name):
    assert make(kind, name) is not make(kind, name)


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_lookup_of_an_object_returns_an_equal_one_that_lives_apart(kind, name):
    table, base = KINDS[kind]
    option = changed(make(kind, name))
    found = lookup(kind, option, table, base)
    assert found == option
    assert found is not option
    kept = option.get_params()
    option.set_params(**make(kind, name).get_params())
    assert found.get_params() == kept


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_lookup_turns_numpy_scalars_into_python_ones_and_leaves_the_given_object_alone(kind, name):
    """A NumPy float64 scalar would drag float32 loops through double precision."""
    table, base = KINDS[kind]
    to_numpy = {float: np.float64, int: np.int64, bool: np.bool_}
    params = {k: to_numpy[type(v)](v) for k, v in make(kind, name).get_params().items()}
    option = type(make(kind, name))(**params)
    found = lookup(kind, option, table, base)
    assert found == make(kind, name)
    assert all(type(value) in to_numpy for value in found.get_params().values())
    assert all(option.get_params()[k] is value for k, value in params.items())


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_lookup_of_a_misspelled_name_suggests_the_right_one_and_lists_all(kind, name):
    table, base = KINDS[kind]
    misspelled = name + "x"
    with pytest.raises(ValueError, match="Did you mean") as caught:
        lookup(kind, misspelled, table, base)
    before, after = str(caught.value).split("Choose from")
    assert before.startswith(f"Unknown {kind} {misspelled!r}. Did you mean ")
    assert repr(name) in before
    assert all(repr(known) in after for known in table)


def test_messages_word_by_word():
    table = {"relu": nn.ReLU, "elu": nn.ELU, "selu": nn.SELU, "gelu": nn.GELU, "celu": nn.ELU}
    with pytest.raises(ValueError, match="Unknown") as caught:
        lookup("activation", "elus", table, nn.Activation)
    assert str(caught.value) == (
        "Unknown activation 'elus'. Did you mean 'elu' or 'selu' or 'relu'? "
        "Choose from 'celu', 'elu', 'gelu', 'relu', 'selu'."
    )
    with pytest.raises(ValueError, match="Unknown") as caught:
        lookup("activation", "qqq", {"tanh": nn.Tanh}, nn.Activation)
    assert str(caught.value) == "Unknown activation 'qqq'. Choose from 'tanh'."
    with pytest.raises(TypeError, match="must be") as caught:
        lookup("activation", 3, {"relu": nn.ReLU, "elu": nn.ELU}, nn.Activation)
    assert str(caught.value) == (
        "activation must be a name ('elu', 'relu') or an object derived from Activation, "
        "got 3 of type int."
    )
    with pytest.raises(ValueError, match="no parameter") as caught:
        nn.Adam().set_params(beta=1)
    assert str(caught.value) == (
        "Adam has no parameter 'beta'; it has beta1, beta2, epsilon, correct_epsilon."
    )
    with pytest.raises(ValueError, match="no parameter") as caught:
        nn.Tanh().set_params(slope=1)
    assert str(caught.value) == "Tanh has no parameter 'slope'; it has none."
    with pytest.raises(TypeError, match="x must be") as caught:
        check_real("x", "1", Interval(0, 2))
    assert str(caught.value) == "x must be a number in [0, 2), got '1' of type str."
    with pytest.raises(ValueError, match="x must be") as caught:
        check_real("x", 10**400, Interval(0, 2))
    assert str(caught.value) == "x must be a number in [0, 2), got one beyond the range of float64."
    with pytest.raises(TypeError, match="x must be") as caught:
        check_integer("x", 1.5, 0)
    assert str(caught.value) == "x must be an integer >= 0, got 1.5 of type float."


def test_lookup_of_a_name_in_capitals_suggests_it():
    for name, right in (("ReLU", "relu"), ("SELU", "selu"), ("Leaky_ReLU", "leaky_relu")):
        with pytest.raises(ValueError, match=rf"{name}'\. Did you mean '{right}'\? Choose"):
            lookup("activation", name, nn.ACTIVATIONS, nn.Activation)
    with pytest.raises(ValueError, match=r"'TANG'\. Did you mean 'tanh'"):
        lookup("activation", "TANG", nn.ACTIVATIONS, nn.Activation)


@dataclass
class Tabulated(nn.Activation):
    """An activation of one's own, with an array among its parameters."""

    points: np.ndarray


def test_lookup_of_an_object_copies_what_is_in_it():
    option = Tabulated(np.arange(3.0))
    found = lookup("activation", option, nn.ACTIVATIONS, nn.Activation)
    option.points += 1
    assert found.points.tolist() == [0, 1, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_lookup_of_a_far_name_lists_all_without_a_hint(kind):
    table, base = KINDS[kind]
    with pytest.raises(ValueError, match="Choose from") as caught:
        lookup(kind, "qqqqqq", table, base)
    assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [None, 3, ["relu"], object(), int])
def test_lookup_of_another_type_raises_type_error(kind, value):
    table, base = KINDS[kind]
    with pytest.raises(TypeError, match=f"{kind} must be a name .* or an object derived from"):
        lookup(kind, value, table, base)


@pytest.mark.parametrize("kind", KINDS)
def test_lookup_of_a_class_says_to_call_it(kind):
    table, base = KINDS[kind]
    a_class = type(next(iter(table.values()))())
    with pytest.raises(TypeError, match=f"got the class {a_class.__name__}; call it"):
        lookup(kind, a_class, table, base)


@pytest.mark.parametrize("kind", KINDS)
def test_lookup_refuses_an_object_of_another_kind(kind):
    table, base = KINDS[kind]
    stranger = nn.Constant() if kind != "schedule" else nn.ReLU()
    with pytest.raises(TypeError, match=f"derived from {base.__name__}"):
        lookup(kind, stranger, table, base)


def test_lookup_validates_objects():
    with pytest.raises(ValueError, match="momentum"):
        lookup("optimizer", nn.SGD(momentum=2), nn.OPTIMIZERS, nn.Optimizer)


@pytest.mark.parametrize(
    ("closed", "printed", "low", "high"),
    [
        ("left", "[1, 2)", True, False),
        ("right", "(1, 2]", False, True),
        ("both", "[1, 2]", True, True),
        ("neither", "(1, 2)", False, False),
    ],
)
def test_interval_ends(closed, printed, low, high):
    interval = Interval(1, 2, closed)
    assert str(interval) == printed
    assert (1 in interval, 2 in interval) == (low, high)
    assert 1.5 in interval
    assert all(value not in interval for value in (0.9, 2.1, math.nan, math.inf, -math.inf))


@pytest.mark.parametrize("value", [1, 0.5, np.float32(0.5), np.float64(0.5), np.int64(1)])
def test_check_real_returns_a_python_float(value):
    result = check_real("x", value, Interval(0, 2))
    assert type(result) is float
    assert result == value


@pytest.mark.parametrize("value", [3, np.int32(3), np.uint8(3)])
def test_check_integer_returns_a_python_int(value):
    result = check_integer("x", value, minimum=1)
    assert type(result) is int
    assert result == 3


@pytest.mark.parametrize("value", [True, np.True_, "1", None, 1.0, np.float64(1)])
def test_check_integer_refuses_other_types(value):
    with pytest.raises(TypeError, match=r"^x must be an integer >= 0, got .* of type"):
        check_integer("x", value, minimum=0)


def test_check_integer_refuses_values_below_the_minimum():
    with pytest.raises(ValueError, match=r"^x must be an integer >= 2, got 1\.$"):
        check_integer("x", 1, minimum=2)


@pytest.mark.parametrize("value", [True, np.True_, "1", None, 1j])
def test_check_real_refuses_other_types(value):
    with pytest.raises(TypeError, match=r"^x must be a number in \[0, 2\), got .* of type"):
        check_real("x", value, Interval(0, 2))


@pytest.mark.parametrize("value", [-1e-9, 2, math.nan, math.inf])
def test_check_real_refuses_values_outside(value):
    with pytest.raises(ValueError, match=r"^x must be a number in \[0, 2\), got "):
        check_real("x", value, Interval(0, 2))


def test_check_real_judges_the_float_that_it_returns():
    for huge in (10**400, -(10**5000), Fraction(10**400, 3)):
        with pytest.raises(ValueError, match=r"x must be .* \(-inf, inf\), got one beyond"):
            check_real("x", huge, REAL_LINE)
    for value, interval in (
        (Fraction(1, 10**400), POSITIVE),  # 0.0
        (1 - Fraction(1, 10**20), FRACTION),  # 1.0
        (1 - np.finfo(np.longdouble).eps / 2, FRACTION),
    ):
        with pytest.raises(ValueError, match="x must be a number in"):
            check_real("x", value, interval)
