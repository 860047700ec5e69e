"""What the tests of several networks share: members trained alone, and networks in groups."""

import copy

import numpy as np
from scipy.sparse import issparse

from skscratch._fitting.settings import resolve
from skscratch.nn import Architecture, Batches, Learner, Network, fit

from ..conftest import output


def in_groups(monkeypatch, at_most):
    """Let at most so many networks share a stack."""
    monkeypatch.setattr("skscratch._fitting.groups.networks_per_stack", lambda *sizes: at_most)


def streams_of(seed, n_networks):
    """Return the random streams that README and SPEC promise: for each purpose and network."""
    drawn = np.random.RandomState(seed).randint(np.iinfo(np.int32).max)
    purposes = np.random.SeedSequence(drawn).spawn(5)
    return {
        name: [np.random.default_rng(each) for each in (first, *first.spawn(n_networks - 1))]
        for name, first in zip(("init", "shuffle", "dropout", "split"), purposes, strict=False)
    }


def folds_of(estimator):
    """Return the rows that each network left out."""
    found = estimator._fitted.out_of_fold
    return [found.rows[found.networks == k] for k in range(found.networks.max() + 1)]


def trained_alone(estimator, X, Y, k, rows, epochs, weights=None):
    """Train what network k should be by itself, with nothing but the parts of `skscratch.nn`.

    X is what the network sees, Y the encoded target, and ``weights`` have a row for each.
    """
    settings, plan = resolve(vars(estimator)), estimator.plan_
    old = estimator.network_.architecture
    network = Network(Architecture(**vars(old)), (), estimator.network_.dtype)
    streams = streams_of(estimator.random_state, plan.n_networks)
    network.initialize(plan.init, [streams["init"][k]])
    target = estimator._fitted.target
    network.dense[-1].b[...] = target.loss.initial_bias(Y, weights)
    mean = 1.0 if weights is None else float(weights[rows].mean())
    learner = Learner(
        network,
        target.loss,
        settings.optimizer,
        settings.learning_rate,
        plan.lr_schedule,
        l2=settings.l2,
        clip_norm=settings.clip_norm,
        mean_weight=mean,
        streams=[streams["dropout"][k]],
    )
    batches = Batches(
        X if issparse(X) else np.ascontiguousarray(X),
        target.soften(Y),
        None if weights is None else weights / mean,
        batch_size=plan.batch_size,
        streams=[streams["shuffle"][k]] if settings.shuffle else (),
        rows=rows,
        join_single=settings.normalization == "batch",
    )
    fit(learner, batches, epochs)
    return network


def member_outputs(estimator, X):
    """Return what each member alone gives for X: logits over the temperature, or predictions."""
    members = []
    for k in range(estimator.plan_.n_networks):
        alone = copy.copy(estimator)
        alone._trained = estimator._fitted.member(k)
        members.append(output(alone, X))
    return np.array(members)


def assert_same_committee(estimator, other, exactly=True, history=True):
    compare = np.testing.assert_array_equal if exactly else close
    for array, wanted in zip(estimator.network_.snapshot(), other.network_.snapshot(), strict=True):
        compare(array, wanted)
    if history:
        for name, column in other.history_.items():
            if name != "seconds":
                compare(estimator.history_[name], column, err_msg=name)


def close(array, wanted, **options):
    # Behind a bias that batch normalization takes out again, Adam makes steps of rounding errors.
    np.testing.assert_allclose(array, wanted, rtol=1e-7, atol=1e-7, **options)
