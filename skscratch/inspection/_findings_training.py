"""What a diagnosis finds in the course of training."""

import warnings
from collections.abc import Iterator
from math import ceil, inf, sqrt

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning

from .._fitting.lbfgs import LBFGS
from .._fitting.plan import rows_per_batch
from ..nn.divergence import DivergenceError
from ._case import (
    DOUBTFUL_ABOVE,
    DOUBTFUL_BELOW,
    IDLE,
    LEARNED,
    MOST_ROWS,
    NOTHING,
    Case,
    has_held_out,
)
from ._diagnosis import Finding
from ._findings_data import unscaled
from ._passes import clone_for_all_rows

NEGLIGIBLE = 0.005
"""A fall of the loss, in relation to that of a constant, that is not worth any steps."""
LARGE_RATE, SMALL_RATE = 10.0, DOUBTFUL_BELOW
"""Factors between the learning rate and the range test's suggestion, which is rather low."""
LARGE_RATE_TO_DIE = DOUBTFUL_ABOVE
"""The former, where units died and nothing was learned."""
PEAK = 2.0
"""Training loss, in relation to that at the start and that of a constant: above, it exploded."""
RELAPSE = 0.1
"""Rise of the training loss above its minimum, in relation to the same."""
STILL_FALLING = 0.075
"""Share of the loss's whole fall that the last tenth of the epochs brought; 0.1 is a straight line,
and noise that is learned by heart was seen to bring up to 0.07."""
FEW_STEPS, STEPS_TO_TRY = 100, 200
"""Steps in a single epoch that are few, and steps up to which it is tried what more would bring."""
MORE = 4
"""How many times as many steps are tried."""
WORTH = 0.15
"""How much less loss they bring on rows held out, in relation to that of a constant, if training
was too short. Two moons, spirals and a sine after 50 steps were seen to have 0.32 or more left, ten
sets that the defaults learn well at most 0.09."""
FEWEST_ROWS = 100
"""Rows without which a quarter of them is too few to measure that."""
RISEN = 0.15
"""Rise of the validation loss from its minimum to the epoch kept, in relation to the same. It was
up to 0.06 where sets are learned well, and 0.2 to 0.5 where noise is learned by heart."""
GAP = {"accuracy": 0.15, "R2": 0.3}
"""Distance between the scores on training and on validation rows, on top of its uncertainty."""


def diverged(case: Case) -> Iterator[Finding]:
    """Find that training ended, of all or of some networks, as the numbers were not finite."""
    evidence = case.failure.split(". ")[0].split(": ", 1)[-1]
    if case.trained is not None:
        plan, evidence = case.trained.plan_, ""
        if plan.why["n_networks"].endswith("diverged"):  # such as "2 diverged"
            lost = int(plan.why["n_networks"].split()[0])
            evidence = f"{lost} of {lost + plan.n_networks} networks diverged"
    if evidence:
        remedy = "lower learning_rate, or set clip_norm=1"
        if case.suggestion is not None and case.suggestion < case.rate:
            remedy = f"lower learning_rate, to {case.suggestion:.2g} say"
        elif isinstance(case.settings.optimizer, LBFGS):
            remedy = "take another optimizer, or a larger l2"
        if any(unscaled(case)):
            remedy = "scale the data, see above"
        yield Finding(
            "non-finite loss",
            "error",
            evidence,
            "the loss and the parameters stay finite",
            remedy,
        )


def large_rate(case: Case) -> Iterator[Finding]:
    """Find a loss that rose, or units that died, at a rate far above the range test's suggestion.

    A suggestion is rather low, so that ten times as much is still no illness by itself, and a loss
    may rise for other reasons: only both are evidence.
    """
    if isinstance(case.settings.optimizer, LBFGS) or any(unscaled(case)):
        return
    suggestion = case.suggestion
    died = case.gained < NOTHING and (
        np.fmax.reduce(case.start_statistics["dead_share"], initial=0.0) <= IDLE
        and np.fmax.reduce(case.statistics["dead_share"], initial=0.0) > IDLE
    )
    factor = LARGE_RATE_TO_DIE if died else LARGE_RATE
    too_large = suggestion is None or case.rate > factor * suggestion
    evidence, threshold = "", f"{PEAK:g} times {case.reference_loss:.2g}, the loss at the start"
    if case.failure:
        evidence, threshold = "the loss did not stay finite", "it stays finite"
    elif len(case.losses) == 0:
        return
    elif case.losses.max() > PEAK * case.reference_loss:
        evidence = f"the training loss rose to {case.losses.max():.2g}"
    elif suggestion is not None:
        rise = case.losses[-1] - case.losses.min()
        if rise > RELAPSE * case.reference_loss:
            evidence = f"the training loss fell to {case.losses.min():.2g} and rose again to "
            evidence += f"{case.losses[-1]:.2g}"
            threshold = f"a rise by {RELAPSE * case.reference_loss:.2g}"
        elif died:
            evidence = "most units of a layer died in training"
            threshold = f"{IDLE:.0%} of them"
    if not evidence or not too_large:
        return
    remedy = f"lower learning_rate, which is {case.rate:g}"
    if suggestion is not None:
        evidence += f", and the range test suggests {suggestion:.2g}"
        threshold += f"; {factor:g} times the suggestion"
        remedy = f"set learning_rate={suggestion:.2g} in place of {case.rate:g}"
    yield Finding("learning rate too large", "error", evidence, threshold, remedy)


def small_rate(case: Case) -> Iterator[Finding]:
    """Find that little was learned at a rate far below the range test's suggestion."""
    suggestion = case.suggestion
    if suggestion is None or case.trained is None or any(unscaled(case)):
        return
    if suggestion > SMALL_RATE * case.rate and case.gained < LEARNED:
        yield Finding(
            "learning rate too small",
            "error",
            f"the range test suggests {suggestion:.2g}, and the training loss went from "
            f"{case.losses[0]:.3g} to {case.losses[-1]:.3g}",
            f"a suggestion of {SMALL_RATE:g} times the learning rate, {case.rate:g}",
            f"set learning_rate={suggestion:.2g}",
        )


def few_steps(case: Case) -> Iterator[Finding]:
    """Find that training ended while the loss was falling, or that more steps bring much more.

    The evidence is the fall over the last epochs, beyond chance (`STILL_FALLING`), or a single
    epoch of few steps. Where the curve does not tell, and steps were few, a trial does.
    """
    losses, which, n = case.losses, "training", len(case.losses)
    # What is learned by heart makes the training loss fall, too.
    if n == 0 or case.trained._fitted.progress.ended == "stalled" or any(overfitting(case)):
        return
    validation_losses = np.array(case.trained.history_["validation_loss"], float)
    if np.isfinite(validation_losses).all():
        losses, which = validation_losses, "validation"
    evidence = ""
    if n == 1:
        steps = case.trained._fitted.learners[0].state.t
        if 0 < steps < FEW_STEPS:
            evidence, threshold = f"training made {steps} steps", f"{FEW_STEPS} steps"
    else:
        last = max(1, n // 10)
        before, after = losses[-2 * last : -last], losses[-last:]
        fall = before.mean() - after.mean()
        # By chance a loss goes up and down, by dropout above all.
        steady = np.all(np.diff(losses[-4:]) < 0)
        if last > 1:
            steady = fall > 5 * sqrt((before.var() + after.var()) / last)
        share = fall / (losses[0] - losses[-1]) if losses[0] > losses[-1] else 0.0
        if steady and share > STILL_FALLING and fall > NEGLIGIBLE * case.constant_loss:
            evidence = (
                f"the last {last} of {n} epochs brought {share:.0%} of the whole fall of the "
            )
            evidence += f"{which} loss"
            threshold = f"{STILL_FALLING:.0%}"
    remedy = f"raise max_iter, to {10 * n} say"
    if not evidence:
        n_rows = len(case.targets)
        batch_size = min(rows_per_batch(case.settings, n_rows)[0], n_rows)
        steps = n * ceil(n_rows / batch_size)
        losses_held_out = _try_more_steps(case, steps) if steps <= STEPS_TO_TRY else None
        if losses_held_out is not None:
            few, many = losses_held_out
            evidence = f"in a trial the loss on rows held out fell from {few:.2g} after {steps} "
            evidence += f"steps to {many:.2g} after {MORE * steps}"
            threshold = f"a fall by {WORTH * case.constant_loss:.2g}"
            remedy = f"set max_iter={MORE * n}"
            if batch_size >= MORE and not isinstance(case.settings.optimizer, LBFGS):
                remedy += f", or batch_size={batch_size // MORE}"
    if evidence:
        yield Finding("too few steps", "warning", evidence, threshold, remedy)


def _try_more_steps(case: Case, steps: int) -> tuple[float, float] | None:
    """Return the loss on held-out rows after so many and after more steps, if these are worth it.

    The curve of the loss does not tell: where the rate falls to 0 it is flat in the end, and what
    is learned by heart is a fall too. Both losses have to fall: that on held-out rows alone does so
    by chance where a network is sure of mistakes. Clones are trained on
    three quarters of up to 1,000 rows, for the same number of steps as on all.
    """
    X, y, weights = case.inputs, case.targets, case.sample_weight
    y = y[:, 0] if y.shape[1:] == (1,) else y
    rows = np.random.default_rng(0).permutation(len(y))[:MOST_ROWS]
    if len(rows) < FEWEST_ROWS:
        return None
    held_out, rows = np.split(rows, [len(rows) // 4])
    if is_classifier(case.start) and y.ndim == 1:
        held_out = held_out[np.isin(y[held_out], y[rows])]
    weights = None if weights is None or np.ndim(weights) == 0 else np.asarray(weights)[rows]
    if len(held_out) < 2 or (weights is not None and not weights.any()):
        return None
    batch_size = min(rows_per_batch(case.settings, len(y))[0], len(rows))
    worth, losses = WORTH * case.constant_loss, []
    for factor in (1, MORE):
        clone = clone_for_all_rows(case.trained).set_params(
            batch_size=batch_size,
            max_iter=ceil(factor * steps / ceil(len(rows) / batch_size)),
            n_iter_no_change=inf,
            scoring="loss",
            random_state=0,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            try:
                clone.fit(X[rows], y[rows], weights, X[held_out], y[held_out])
            except DivergenceError:
                return None
        losses.append([clone.history_[name][-1] for name in ("validation_loss", "loss")])
        if not min(losses[0]) > worth:
            return None  # there is nothing left to gain
    few, many = losses
    return (few[0], many[0]) if min(few[0] - many[0], few[1] - many[1]) > worth else None


def overfitting(case: Case) -> Iterator[Finding]:
    """Find that the network does better on what it was trained on than elsewhere.

    The evidence is the distance of the scores, larger than chance makes it, or a validation loss
    that was lowest in the first half of the epochs up to the one that was kept, and has risen much.
    """
    evidence, thresholds, remedies = [], [], []
    gap = _gap(case)
    if gap is not None:
        evidence.append(gap[0])
        thresholds.append(gap[1])
        remedies += ["raise l2 or dropout", "take fewer units", "set early_stopping=True"]
    rise = _rise(case)
    if rise is not None:
        evidence.append(rise[0])
        thresholds.append(rise[1])
        remedies += [] if remedies else ["raise l2 or dropout", "take fewer units"]
        if case.trained._fitted.progress.goes_back:
            remedies = [r for r in remedies if "early_stopping" not in r]
            remedies.append("set scoring='loss', which keeps the epoch of the lowest loss")
        else:
            remedies.append(f"set max_iter={rise[2]}")
    if evidence:
        yield Finding(
            "overfitting",
            "warning",
            ", and ".join(evidence),
            "; ".join(thresholds),
            ", ".join([*dict.fromkeys(remedies), "or get more rows"]),
        )


def _gap(case: Case) -> tuple[str, str] | None:
    """Return evidence and threshold, if scores on the rows and on others are far apart."""
    trained = case.trained
    if trained is None:
        return None
    n_given = len(case.targets)
    if case.X_val is not None:
        held_out = float(trained.score(case.X_val, case.y_val))
        n_rows = case.X_val.shape[0] if hasattr(case.X_val, "shape") else len(case.X_val)
        others = f"{n_rows} others"
    elif has_held_out(trained):
        # What X_val had in the fit, and how many rows it was, is not known afterwards.
        held_out, n_rows = trained.best_validation_score_, n_given // 5
        out_of_fold = trained._fitted.out_of_fold
        if out_of_fold is not None:
            held_out, n_rows = out_of_fold.score, len(out_of_fold.rows)
        others = f"{n_rows} held out"
    else:
        return None  # the notes say so
    score = float(trained.score(case.X, case.y, case.sample_weight))
    if is_classifier(trained):
        metric, uncertainty = "accuracy", sqrt(held_out * (1 - held_out) / n_rows)
    else:
        metric, uncertainty = "R2", (1 - held_out) * sqrt(2 / n_rows)
    gap = GAP[metric] + 2 * uncertainty
    if not score - held_out > gap:
        return None
    evidence = f"{metric} is {score:.2f} on the {n_given} rows given and {held_out:.2f} on {others}"
    return evidence, f"a difference of {gap:.2f}"


def _rise(case: Case) -> tuple[str, str, int] | None:
    """Return evidence, threshold and the epoch of the lowest validation loss, if it rose long."""
    if case.trained is None:
        return None
    losses = np.array(case.trained.history_["validation_loss"], float)
    kept = case.trained.best_epoch_ or len(losses)
    if not 0 < kept <= len(losses) or not np.isfinite(losses[:kept]).all():
        return None
    lowest = int(losses[:kept].argmin()) + 1
    first, last = losses[lowest - 1], losses[kept - 1]
    if lowest > kept / 2 or not last - first > RISEN * case.constant_loss:
        return None
    evidence = f"the validation loss was lowest in epoch {lowest}, {first:.3g}, and {last:.3g} in "
    evidence += f"epoch {kept}, the weights of which were kept"
    return evidence, f"a rise by {RISEN * case.constant_loss:.2g}", lowest
