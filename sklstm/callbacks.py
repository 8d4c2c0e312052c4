"""Reports of training epochs: printed for the user, and passed to scikit-learn's callbacks."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import sklearn

from sklstm.nn.training import TrainingResult

__all__ = ["CallbackSupportMixin", "EpochReport", "with_callbacks"]

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # before scikit-learn 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stand-in for the class of scikit-learn, which raises an error when it is used."""

        def set_callbacks(self, *callbacks: Any) -> Any:
            """Raise an error that names the required version of scikit-learn."""
            raise ImportError(
                "Callbacks need scikit-learn 1.9 or later, but version "
                f"{sklearn.__version__} is installed; update it with: pip install -U scikit-learn"
            )

        def _init_callback_context(self, **kwargs: Any) -> None:
            return None

    def with_callbacks(method: Any) -> Any:
        """Return the method unchanged."""
        return method


class EpochReport:
    """Reports each epoch of training: prints it, and calls scikit-learn's callbacks.

    Parameters
    ----------
    estimator : estimator
        The estimator that is being fitted.
    max_iter : int or None, default=None
        Maximum number of epochs in a call with callbacks; None for a call without callbacks.
    X, y, sample_weight
        The arguments of fit.
    """

    def __init__(
        self,
        estimator: Any,
        max_iter: int | None = None,
        X: Any = None,
        y: Any = None,
        sample_weight: Any = None,
    ) -> None:
        self.estimator, self.context = estimator, None
        if max_iter is not None:
            self.context = estimator._init_callback_context(max_subtasks=max_iter)
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.arguments = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}

    def begin(self) -> None:
        """Report that training begins."""
        if self.context is not None:
            self.context.call_on_fit_task_begin(**self.arguments)

    def begin_epoch(self, result: Callable[[], TrainingResult]) -> None:
        """Report that an epoch begins."""
        self.started = time.perf_counter()
        if self.context is not None:
            self.epoch_context = self.context.subcontext(task_name="epoch")
            self.epoch_context.call_on_fit_task_begin(
                **self.arguments, reconstruction_attributes=_attributes(result)
            )

    def end_epoch(self, result: Callable[[], TrainingResult]) -> bool:
        """Report that an epoch has ended; return whether a callback requests to stop."""
        if self.estimator.verbose:
            history = result().state.history
            score = f", validation score {history.scores[-1]:.6g}" if history.scores else ""
            print(
                f"Epoch {history.n_epochs}: loss {history.loss:.6g}{score}, learning rate "
                f"{history.rates[-1]:.6g}, {time.perf_counter() - self.started:.3f} s"
            )
        if self.context is None:
            return False
        return bool(
            self.epoch_context.call_on_fit_task_end(
                **self.arguments, reconstruction_attributes=_attributes(result)
            )
        )

    def close(self, result: Callable[[], TrainingResult]) -> None:
        """Report that training has ended."""
        if self.context is not None:
            self.context.call_on_fit_task_end(
                **self.arguments, reconstruction_attributes=_attributes(result)
            )


def _attributes(result: Callable[[], TrainingResult]) -> Callable[[], dict[str, Any]]:
    """Return a function that returns the current fitted attributes of an estimator."""

    def attributes() -> dict[str, Any]:
        model, state, _ = result()
        return {"_model": model, "_training": state}

    return attributes
