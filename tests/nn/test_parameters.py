import copy
import pickle

import numpy as np
import pytest

from skscratch.nn import Parameters
from skscratch.nn.parameters import Shape

SHAPES = [Shape(3, 4, True), Shape(1, 4, False), Shape(4, 2, True), Shape(1, 2, False)]

duplicates = pytest.mark.parametrize(
    "duplicate",
    [lambda o: o, copy.copy, copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))],
    ids=["itself", "copy", "deepcopy", "pickle"],
)
stacks = pytest.mark.parametrize("stack", [(), (3,), (2, 3)])
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def assert_views_alias(parameters):
    """Each number of the vector shows in exactly one view, and the other way round."""
    vector = parameters.vector
    for view, (rows, columns, *_) in zip(parameters.views, parameters.shapes, strict=True):
        assert view.shape == (*vector.shape[:-1], rows, columns)
        assert view.dtype == vector.dtype
        assert np.shares_memory(view, vector)
    vector[...] = 0
    for view in parameters.views:
        view += 1
    np.testing.assert_array_equal(vector, 1)
    vector[...] = np.arange(vector.size).reshape(vector.shape)
    seen = np.concatenate([view.ravel() for view in parameters.views])
    np.testing.assert_array_equal(np.sort(seen), np.arange(vector.size))


@duplicates
@stacks
@dtypes
def test_views_alias_the_vector(duplicate, stack, dtype):
    parameters = duplicate(Parameters.zeros(SHAPES, stack, np.dtype(dtype)))
    assert parameters.vector.shape == (*stack, 12 + 4 + 8 + 2)
    assert parameters.vector.dtype == dtype
    assert parameters.vector.flags.c_contiguous
    assert_views_alias(parameters)


@duplicates
@stacks
def test_the_penalized_part_comes_first_and_is_exactly_the_weights(duplicate, stack):
    parameters = duplicate(Parameters.zeros(SHAPES, stack, np.dtype(float)))
    penalized = parameters.penalized
    assert penalized.shape == (*stack, 12 + 8)
    assert np.shares_memory(penalized, parameters.vector)
    penalized[...] = 1
    for view, shape in zip(parameters.views, SHAPES, strict=True):
        np.testing.assert_array_equal(view, float(shape.penalized))
    np.testing.assert_array_equal(parameters.vector[..., :20], 1)
    np.testing.assert_array_equal(parameters.vector[..., 20:], 0)


def test_weights_lie_in_the_order_of_the_shapes():
    parameters = Parameters.zeros(SHAPES, (), np.dtype(float))
    parameters.vector[...] = np.arange(26)
    first_numbers = [view.flat[0] for view in parameters.views]
    assert first_numbers == [0, 20, 12, 24]
    np.testing.assert_array_equal(parameters.views[0], np.arange(12).reshape(3, 4))


@duplicates
def test_values_survive(duplicate):
    parameters = Parameters.zeros(SHAPES, (2,), np.dtype(float))
    parameters.vector[...] = np.arange(52).reshape(2, 26)
    expected = [view.copy() for view in parameters.views]
    for view, values in zip(duplicate(parameters).views, expected, strict=True):
        np.testing.assert_array_equal(view, values)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_a_duplicate_has_memory_of_its_own(duplicate):
    parameters = Parameters.zeros(SHAPES, (), np.dtype(float))
    other = duplicate(parameters)
    other.views[0][...] = 7
    assert not np.shares_memory(other.vector, parameters.vector)
    np.testing.assert_array_equal(parameters.vector, 0)


@stacks
def test_like_mirrors_shapes_and_dtype_and_is_zero(stack):
    parameters = Parameters.zeros(SHAPES, stack, np.dtype(np.float32))
    parameters.vector[...] = 3
    gradient = parameters.like()
    assert gradient.vector.shape == parameters.vector.shape
    assert gradient.vector.dtype == np.float32
    assert not np.shares_memory(gradient.vector, parameters.vector)
    np.testing.assert_array_equal(gradient.vector, 0)
    assert_views_alias(gradient)


def test_nothing_penalized_and_nothing_at_all():
    only_biases = Parameters.zeros([Shape(1, 3, False)], (), np.dtype(float))
    assert only_biases.penalized.shape == (0,)
    assert Parameters.zeros([], (2,), np.dtype(float)).vector.shape == (2, 0)


def test_a_member_is_a_view_with_views_of_its_own():
    parameters = Parameters.zeros(SHAPES, (2, 3), np.dtype(float))
    member = parameters.member((1, 2))
    assert member.vector.shape == (26,)
    assert np.shares_memory(member.vector, parameters.vector)
    assert_views_alias(member)
    for own, view in zip(member.views, parameters.views, strict=True):
        np.testing.assert_array_equal(view[1, 2], own)
    assert not parameters.vector[0].any()
    assert not parameters.vector[1, :2].any()


def test_a_vector_that_is_given_is_not_copied():
    vector = np.arange(26.0)
    parameters = Parameters(SHAPES, vector)
    assert parameters.vector is vector
    np.testing.assert_array_equal(parameters.views[1], [[20, 21, 22, 23]])


def test_a_member_of_a_stack_is_a_contiguous_run():
    """So that a member's parameters can be copied out as the vector of a single network."""
    parameters = Parameters.zeros(SHAPES, (3,), np.dtype(float))
    parameters.vector[1] = np.arange(26)
    single = Parameters.zeros(SHAPES, (), np.dtype(float))
    single.vector[...] = np.arange(26)
    for stacked, alone in zip(parameters.views, single.views, strict=True):
        np.testing.assert_array_equal(stacked[1], alone)
        np.testing.assert_array_equal(stacked[[0, 2]], 0)
