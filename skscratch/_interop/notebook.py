"""What notebooks show of an estimator: its fitted network, and what fit did."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any


class NotebookReprMixin:
    """Adds the fitted network to scikit-learn's HTML diagrams, also those of pipelines.

    Below the diagram of the estimator alone is the plan of its fit. There is no link to the
    documentation, which is on no site yet.
    """

    def _sk_visual_block_(self) -> Any:
        """Return the estimator's box, with the fitted network in a line below the name."""
        # scikit-learn reads these attributes; its own class for them is private.
        return SimpleNamespace(
            kind="single",
            estimators=self,
            names=type(self).__name__,
            name_details=str(self),
            name_caption=describe_network(self),
            doc_link_label=None,
            dash_wrapped=True,
        )

    @property
    def _repr_html_(self) -> Callable[[], str]:
        diagram = super()._repr_html_  # type: ignore[misc]
        return lambda: diagram() + _show_plan(self)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        bundle = super()._repr_mimebundle_(**kwargs)  # type: ignore[misc]
        if "text/html" in bundle:
            bundle["text/html"] += _show_plan(self)
        return bundle


def _show_plan(estimator: Any) -> str:
    plan = getattr(estimator, "plan_", None)
    if plan is None:
        return ""
    return f"<details><summary>What fit did</summary>{plan._repr_html_()}</details>"


def describe_network(estimator: Any) -> str | None:
    """Describe a fitted estimator's network in a line; None if there is no network yet.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skscratch import ScratchMLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = ScratchMLPClassifier((16, 8), n_networks=1, feature_scaling=None, max_iter=5)
    >>> describe_network(clf.fit(X, y))
    '4 → 16 → 8 → 3, 243 parameters, float64, 5 epochs'

    Of several networks it says how many, and which epoch they have gone back to, if not the last:

    >>> describe_network(clf.set_params(n_networks=2).fit(X, y))
    '2 x 4 → 16 → 8 → 3, 486 parameters, float64, ...'
    """
    network = getattr(estimator, "network_", None)
    if network is None:
        return None
    sizes = " → ".join(map(str, network.sizes))
    if network.stack:
        sizes = f"{network.stack[0]} x {sizes}"
    n_parameters = count(network.parameters.vector.size, "parameter")
    return ", ".join([sizes, n_parameters, str(network.dtype), *_describe_epochs(estimator)])


def _describe_epochs(estimator: Any) -> list[str]:
    """Say which epochs made the network, as far as that is known."""
    n_epochs, best = len(estimator.history_["epoch"]), estimator._fitted.restored_epoch
    if best is None or best == n_epochs:
        return [count(n_epochs, "epoch")]
    return [f"epoch {best} of {n_epochs}"]


def count(number: int, noun: str) -> str:
    """Write a number of things."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
