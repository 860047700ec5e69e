"""Networks that diverged, or that L-BFGS never came to."""

from itertools import chain, product

import numpy as np

from ..nn.divergence import has_finite_numbers
from ..nn.fit import UNTRAINED
from .groups import regroup
from .measure import Validator
from .plan import Plan
from .trained import Trained
from .warn import warn


def leave_out_the_lost(trained: Trained, validate: Validator | None, plan: Plan) -> Plan:
    """Go on with the networks whose numbers are finite, and say so if these are not all."""
    reasons = list(chain.from_iterable(each.diverged.values() for each in trained.learners))
    if not reasons:
        return plan
    finite = np.ravel(has_finite_numbers(trained.network))
    left = "have gone back to their best epoch" if finite.all() else "are left out"
    n_untrained = reasons.count(UNTRAINED)
    if n_untrained:
        warn(
            f"{n_untrained} of {len(finite)} networks are left out, since training ended "
            "before it was their turn: L-BFGS trains one after the other."
        )
    if n_untrained < len(reasons):
        where = next(reason for reason in reasons if reason != UNTRAINED)
        warn(
            f"{len(reasons) - n_untrained} of {len(finite)} networks diverged and {left}: the "
            f"numbers became non-finite first in {where}. Try a smaller learning_rate, or "
            "clip_norm=1."
        )
    if finite.all():
        for learner in trained.learners:
            for index, moment in product(learner.diverged, learner.state.moments):
                moment[index] = 0  # those of the end are NaN
            learner.diverged = {}
        return plan
    kept, lost = np.flatnonzero(finite), np.flatnonzero(~finite)
    if validate is not None:
        validate.forget(lost)
    trained.network = trained.network.part(kept if len(kept) > 1 else kept[0])
    trained.streams = {
        name: streams if name == "split" else [streams[k] for k in kept]
        for name, streams in trained.streams.items()
    }
    trained.learners = regroup(trained.learners, trained.network, kept, trained.streams["dropout"])
    why = "are left out" if n_untrained else "diverged"
    alive = np.ones(len(finite), bool) if trained.alive is None else trained.alive.copy()
    alive[np.flatnonzero(alive)[lost]] = False
    trained.alive = alive
    return plan.but("n_networks", len(kept), f"{len(lost)} {why}")
