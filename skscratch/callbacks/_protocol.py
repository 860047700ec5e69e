"""scikit-learn's callback protocol (`sklearn.callback`, experimental there), or a stand-in.

scikit-learn has it from 1.9 on. Below that, the stand-in calls the hooks of the callbacks of a
bare estimator in the same order and with the same arguments; it does not propagate callbacks
from meta-estimators, which know nothing of them there.
"""

import copy
import functools
import inspect
from typing import Any, Self

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:
    from sklearn.base import clone

    class CallbackContext:
        """A task of the estimator, fit as a whole or one epoch, with its place among the others."""

        def __init__(
            self, callbacks: list, estimator_name: str, task_name: str, parent: Any = None
        ):
            self._callbacks = callbacks
            self.estimator_name = estimator_name
            self.task_name = task_name
            self.parent = parent
            self.task_id = 0 if parent is None else parent._n_children
            self._n_children = 0
            if parent is not None:
                parent._n_children += 1

        def subcontext(self, task_name: str = "") -> "CallbackContext":
            """Return the context of the next subtask."""
            return CallbackContext(self._callbacks, self.estimator_name, task_name, self)

        def call_on_fit_task_begin(self, **arguments: Any) -> Self:
            """Call the hook that precedes the task."""
            self._call("on_fit_task_begin", **arguments)
            return self

        def call_on_fit_task_end(self, **arguments: Any) -> bool:
            """Call the hook that follows the task, and say whether a callback wants to stop."""
            return self._call("on_fit_task_end", **arguments)

        def _call(self, hook: str, estimator: Any, **lazy: Any) -> bool:
            reconstruction = lazy.pop("reconstruction_attributes", None)
            known, stop = dict(lazy), False
            for callback in self._callbacks:
                method = getattr(callback, hook)
                parameters = inspect.signature(method).parameters.values()
                wanted = [item.name for item in parameters if item.kind is item.KEYWORD_ONLY]
                if "fitted_estimator" in wanted and "fitted_estimator" not in known:
                    known["fitted_estimator"] = reconstruction and copy.copy(estimator)
                    if reconstruction:
                        known["fitted_estimator"].__dict__.update(reconstruction())
                arguments = {name: known.get(name) for name in wanted}
                stop |= bool(method(estimator, self, **arguments))
            return stop

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Gives an estimator ``set_callbacks``."""

        def set_callbacks(self, *callbacks: Any) -> Self:
            """Set the callbacks of the estimator; none removes them."""
            hooks = ("setup", "teardown", "on_fit_task_begin", "on_fit_task_end")
            for callback in callbacks:
                if isinstance(callback, type) or not all(hasattr(callback, h) for h in hooks):
                    raise TypeError(
                        f"Callbacks must be objects with the methods {', '.join(hooks)}, got "
                        f"{callback!r}."
                    )
            self.__dict__.pop("_skl_callbacks", None)
            if callbacks:
                self._skl_callbacks = list(callbacks)
            return self

        def _init_callback_context(self, max_subtasks: Any = 0) -> CallbackContext:
            callbacks = getattr(self, "_skl_callbacks", [])
            context = CallbackContext(callbacks, type(self).__name__, "fit")
            self._callback_fit_ctx, self._skl_callbacks_to_teardown = context, []
            for callback in callbacks:
                self._skl_callbacks_to_teardown.append(callback)
                callback.setup(estimator=self, context=context)
            return context

        def __sklearn_clone__(self) -> Any:
            # Clones share callback instances, as they do from scikit-learn 1.9 on.
            params = self.get_params(deep=False)  # type: ignore[attr-defined]
            cloned = type(self)(**{k: clone(v, safe=False) for k, v in params.items()})
            if hasattr(self, "_skl_callbacks"):
                cloned._skl_callbacks = self._skl_callbacks
            if hasattr(self, "_metadata_request"):
                cloned.__dict__["_metadata_request"] = copy.deepcopy(self._metadata_request)
            return cloned

    def with_callbacks(method: Any) -> Any:
        """Tear callbacks down after the method, whatever its end."""

        @functools.wraps(method)
        def managed(self: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return method(self, *args, **kwargs)
            finally:
                context = self.__dict__.pop("_callback_fit_ctx", None)
                for callback in self.__dict__.pop("_skl_callbacks_to_teardown", []):
                    callback.teardown(estimator=self, context=context)

        return managed


__all__ = ["CallbackSupportMixin", "with_callbacks"]
