"""What is told of an epoch: to the user, and to scikit-learn's callbacks where it has them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import sklearn

__all__ = ["CallbackSupportMixin", "EpochReport", "with_callbacks"]

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # before scikit-learn 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in for that of scikit-learn and says what is missing."""

        def set_callbacks(self, *callbacks: Any) -> Any:
            """Refuse callbacks."""
            raise ImportError(
                "Callbacks need scikit-learn 1.9 or later, but version "
                f"{sklearn.__version__} is installed; update it with: pip install -U scikit-learn"
            )

        def _init_callback_context(self, **kwargs: Any) -> None:
            return None

    def with_callbacks(method: Any) -> Any:
        """Give back the method as it is."""
        return method


class EpochReport:
    """Tells the user and the callbacks of each epoch.

    Parameters
    ----------
    estimator : estimator
        What is fitted.
    context : CallbackContext or None
        scikit-learn's context of the call of fit, if there is one.
    X, y, sample_weight
        What fit was given.
    """

    def __init__(
        self,
        estimator: Any,
        context: Any = None,
        X: Any = None,
        y: Any = None,
        sample_weight: Any = None,
    ) -> None:
        self.estimator, self.context = estimator, context
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.arguments = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
        if context is not None:
            context.call_on_fit_task_begin(**self.arguments)

    def begin(self, fitted: Callable[[], dict[str, Any]]) -> None:
        """Begin an epoch.

        Parameters
        ----------
        fitted : callable
            Gives the fitted attributes as they are now.
        """
        self.started = time.perf_counter()
        if self.context is not None:
            self.epoch_context = self.context.subcontext(task_name="epoch")
            self.epoch_context.call_on_fit_task_begin(
                **self.arguments, reconstruction_attributes=fitted
            )

    def end(self, fitted: Callable[[], dict[str, Any]]) -> bool:
        """End an epoch; tell whether a callback wants to stop."""
        if self.estimator.verbose:
            now = fitted()
            scores = now["validation_scores_"]
            score = f", validation score {scores[-1]:.6g}" if scores else ""
            print(
                f"Epoch {now['n_iter_']}: loss {now['loss_']:.6g}{score}, learning rate "
                f"{now['learning_rate_curve_'][-1]:.6g}, {time.perf_counter() - self.started:.3f} s"
            )
        if self.context is None:
            return False
        return bool(
            self.epoch_context.call_on_fit_task_end(
                **self.arguments, reconstruction_attributes=fitted
            )
        )

    def close(self) -> None:
        """End the call of fit."""
        if self.context is not None:
            self.context.call_on_fit_task_end(**self.arguments, reconstruction_attributes={})
