"""The last time steps of a sequence, standardised: what the linear part beside the LSTM reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["RecentSteps"]


@dataclass(frozen=True)
class RecentSteps:
    """How the last time steps are read: by position from the end, standardised by feature.

    A step that is missing, or that lies before the first one, has the mean of the training steps,
    which is zero after standardisation.

    Parameters
    ----------
    n_steps : int
        Number of steps.
    mean, scale : ndarray of shape (n_features,)
        Mean and standard deviation of the training steps, in float64.
    """

    n_steps: int
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @property
    def n_inputs(self) -> int:
        """Numbers that are read of each sequence."""
        return self.n_steps * len(self.mean)

    def standardize(self, steps: NDArray[Any]) -> NDArray[np.float64]:
        """Standardise time steps, of shape (..., n_features); zero where a step is missing."""
        z = (steps - self.mean) / self.scale
        z[np.isnan(z)] = 0
        return z

    def read(self, steps: NDArray[Any]) -> NDArray[np.float64]:
        """Lay out the last time steps of sequences as the linear part reads them.

        Parameters
        ----------
        steps : ndarray of shape (n_sequences, n_steps, n_features)
            The steps, the oldest first, NaN where a step is missing.

        Returns
        -------
        ndarray of shape (n_steps * n_features, n_sequences)
            The standardised steps, step after step.
        """
        return self.standardize(steps).reshape(len(steps), -1).T
