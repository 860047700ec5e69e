"""What a diagnosis finds in the network."""

from collections.abc import Iterator

import numpy as np
from sklearn.base import is_classifier

from .._fitting.lbfgs import LBFGS
from .._fitting.precision import column_range
from ._case import IDLE, NOTHING, Case
from ._diagnosis import Finding
from ._findings_data import scaled_to_nothing
from ._layers import EXPLODING, VANISHING

UNEVEN = 1e-3
"""Mean |gradient| of a layer, in relation to the layer with the largest one: below, vanishing."""
ONE_ANSWER = 0.8
"""Share of the most frequent answer from which on to give it always is no illness."""
FLAT = 0.05
"""Standard deviation of a regressor's predictions, in relation to that of the targets."""


def gradients(case: Case) -> Iterator[Finding]:
    """Find layers whose gradients are next to 0, or huge, before or after training.

    Small gradients after training are those of a network that has learned, unless it has not; and
    they are compared with those of the other layers, since a small loss makes all of them small.
    """
    states = [("before training", case.start_statistics)]
    if case.trained is not None:
        states.append(("after training", case.statistics))
    vanishing = exploding = False
    # SELU alone diverged from half of the first weights tried.
    selu, clip = "activation='selu' with init='auto' and clip_norm=1", "clip_norm=1, or "
    if isinstance(case.settings.optimizer, LBFGS):  # which takes no clipping
        selu, clip = "activation='selu' with init='auto'", ""
    for when, statistics in states:
        means, largest = statistics["mean_gradient"], statistics["max_gradient"]
        low = [m < min(VANISHING, UNEVEN * max(means)) for m in means]
        if any(low) and not vanishing and (when == "before training" or case.gained < NOTHING):
            vanishing = True
            yield Finding(
                "vanishing gradients",
                "error",
                f"the mean |gradient| {when} is {min(means):.1e} in one layer, {max(means):.1e} in "
                "another",
                f"{VANISHING:g}, and {UNEVEN:g} of the other layer's",
                f"take fewer layers, 2 say, or {selu}",
                _layer_list(low),
            )
        high = [not m <= EXPLODING for m in largest]
        if any(high) and not exploding:
            exploding = True
            yield Finding(
                "exploding gradients",
                "error",
                f"the largest |gradient| {when} is {max(largest):.1e}",
                f"{EXPLODING:g}",
                "scale the data or lower learning_rate, if these are findings too; otherwise set "
                f"init='auto', or where it is that, {clip}normalization='layer'",
                _layer_list(high),
            )


def idle_units(case: Case) -> Iterator[Finding]:
    """Find layers most of whose units are flat: on all rows (dead) or on most (saturated)."""
    dead = case.statistics["dead_share"]
    most = np.fmax.reduce(dead, initial=0.0)  # NaN stands for layers without such units
    if most > IDLE:
        yield Finding(
            "dead units",
            "warning",
            f"up to {most:.0%} of a layer's units are flat on all rows and do not learn",
            f"{IDLE:.0%}",
            "lower learning_rate, scale the data, or take activation='leaky_relu' with init='auto'",
            _layer_list([share > IDLE for share in dead]),
        )
    for when, statistics in (
        ("before training", case.start_statistics),
        ("after training", case.statistics),
    ):
        saturated = statistics["saturated_share"]
        most = np.fmax.reduce(saturated, initial=0.0)
        if most > IDLE and (when == "before training" or case.gained < NOTHING):
            yield Finding(
                "saturated units",
                "warning",
                f"up to {most:.0%} of a layer's units are nearly flat on most rows {when}",
                f"{IDLE:.0%}",
                "draw smaller weights with init='auto', scale the data, or take another activation",
                _layer_list([share > IDLE for share in saturated]),
            )
            return


def constant_predictions(case: Case) -> Iterator[Finding]:
    """Find one answer for all rows, and trace it to columns that do not vary.

    A prediction of the most frequent class is no illness where that has 80 % of the rows.
    """
    if case.trained is None:
        return
    predicted = np.asarray(case.trained.predict(case.X))
    if is_classifier(case.trained):
        # Multilabel answers are rows, others may be objects.
        axis = 0 if predicted.ndim == 2 else None
        share = np.unique(case.targets, axis=axis, return_counts=True)[1].max() / len(predicted)
        found = bool(np.all(predicted == predicted[:1])) and share < ONE_ANSWER
        evidence = f"the prediction is {predicted[:1].tolist()[0]!r} on all rows"
        threshold = f"no answer has {ONE_ANSWER:.0%} of the rows, the most frequent {share:.0%}"
    else:
        spread, wanted = (float(np.max(np.std(y, axis=0))) for y in (predicted, case.targets))
        found = spread < FLAT * wanted
        evidence = f"the predictions' standard deviation is {spread:.2g}"
        threshold = f"{FLAT:g} of the targets', {wanted:.2g}"
    if not found:
        return
    remedy = "see to the other findings first; without any, lower l2, or see whether X tells "
    remedy += "anything of y"
    low, high = column_range(case.inputs)
    if np.array_equal(low, high):
        evidence += ", and X is constant in every column"
        remedy = "see to the steps that make X: no column of it varies"
    for lost in scaled_to_nothing(case):
        evidence += f", and {lost.evidence}"
        remedy = lost.remedy
    yield Finding("constant predictions", "error", evidence, threshold, remedy)


def _layer_list(chosen: list[bool]) -> str:
    """Write which layers are chosen, such as "layers 1 to 3, 5"."""
    numbers = [i for i, c in enumerate(chosen, start=1) if c]
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    text = ", ".join(f"{r[0]} to {r[-1]}" if len(r) > 2 else ", ".join(map(str, r)) for r in runs)
    return f"layer{'s' if len(numbers) > 1 else ''} {text}"
