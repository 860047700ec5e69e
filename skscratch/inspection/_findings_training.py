"""What a diagnosis finds in the course of training."""

from collections.abc import Iterator
from math import sqrt

import numpy as np
from sklearn.base import is_classifier

from .._lbfgs import LBFGS
from ._case import IDLE, LEARNED, NOTHING, Case, has_held_out
from ._diagnosis import Finding
from ._findings_data import unscaled

NEGLIGIBLE = 0.005
"""A fall of the loss, in relation to that of a constant, that is not worth any steps."""
LARGE_RATE, SMALL_RATE = 10.0, 30.0
"""Factors between the learning rate and the range test's suggestion, which is rather low."""
LARGE_RATE_TO_DIE = 3.0
"""The former, where units died and nothing was learned."""
PEAK = 2.0
"""Training loss, in relation to that at the start and that of a constant: above, it exploded."""
RELAPSE = 0.1
"""Rise of the training loss above its minimum, in relation to the same."""
STILL_FALLING = 0.075
"""Share of the loss's whole fall that the last tenth of the epochs brought; 0.1 is a straight line,
and noise that is learned by heart was seen to bring up to 0.07."""
FEW_STEPS = 100
GAP = {"accuracy": 0.15, "R2": 0.3}
"""Distance between the scores on training and on validation rows, on top of its uncertainty."""


def diverged(case: Case) -> Iterator[Finding]:
    if case.failure:
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
            case.failure.split(". ")[0].split(": ", 1)[-1],
            "the loss and the parameters stay finite",
            remedy,
        )


def large_rate(case: Case) -> Iterator[Finding]:
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
    losses, which, n = case.losses, "training", len(case.losses)
    # What is learned by heart makes the training loss fall, too.
    if n == 0 or case.trained._progress.ended == "stalled" or any(overfitting(case)):
        return
    validation_losses = np.array(case.trained.history_["validation_loss"], float)
    if np.isfinite(validation_losses).all():
        losses, which = validation_losses, "validation"
    evidence = ""
    if n == 1:
        steps = case.trained._learner.state.t
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
    if evidence:
        yield Finding(
            "too few steps", "warning", evidence, threshold, f"raise max_iter, to {10 * n} say"
        )


def overfitting(case: Case) -> Iterator[Finding]:
    trained = case.trained
    if trained is None:
        return
    if case.X_val is not None:
        held_out = float(trained.score(case.X_val, case.y_val))
        n_rows = case.X_val.shape[0] if hasattr(case.X_val, "shape") else len(case.X_val)
    elif has_held_out(trained):
        held_out, n_rows = (
            trained.best_validation_score_,
            case.settings.n_validation(len(case.targets)),
        )
    else:
        return  # the notes say so
    score = float(trained.score(case.X, case.y, case.sample_weight))
    if is_classifier(trained):
        metric, uncertainty = "accuracy", sqrt(held_out * (1 - held_out) / n_rows)
    else:
        metric, uncertainty = "R2", (1 - held_out) * sqrt(2 / n_rows)
    gap = GAP[metric] + 2 * uncertainty
    if score - held_out > gap:
        yield Finding(
            "overfitting",
            "warning",
            f"{metric} is {score:.2f} on the training rows and {held_out:.2f} on {n_rows} others",
            f"a difference of {gap:.2f}",
            "raise l2 or dropout, take fewer units, set early_stopping=True, or get more rows",
        )
