"""Adam on one flat vector of parameters, and gradient clipping by global norm."""

from __future__ import annotations

import math

import numpy as np

from sklstm.nn.cell import Floats

__all__ = ["Adam", "clip_by_global_norm"]


class Adam:
    """Adam, adaptive moment estimation, for stochastic gradients.

    This is Algorithm 1 of the paper [1]_.

    Parameters
    ----------
    n_parameters : int
        Length of the parameter vector.
    dtype : dtype
        Dtype of the parameters and the moments.
    beta_1, beta_2 : float
        Decay rates of the first and second moment, in [0, 1).
    epsilon : float
        Added to the denominator.

    Attributes
    ----------
    first_moment, second_moment : ndarray of shape (n_parameters,)
        Running means of the gradient and of its square.
    n_updates : int
        Number of updates so far.

    References
    ----------
    .. [1] D. P. Kingma and J. Ba, "Adam: A Method for Stochastic Optimization",
       ICLR 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.nn import Adam
    >>> parameters = np.array([1.0, -1.0])
    >>> Adam(2, parameters.dtype).update(parameters, np.array([3.0, -0.5]), 0.1)
    >>> parameters.round(6)
    array([ 0.9, -0.9])
    """

    def __init__(
        self,
        n_parameters: int,
        dtype: np.dtype,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
    ) -> None:
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon
        self.first_moment = np.zeros(n_parameters, dtype)
        self.second_moment = np.zeros(n_parameters, dtype)
        self.n_updates = 0

    def update(
        self,
        parameters: Floats,
        gradient: Floats,
        learning_rate: float | Floats,
    ) -> None:
        """Update ``parameters`` by one step, in place.

        Parameters
        ----------
        parameters : ndarray of shape (n_parameters,)
            Changed in place.
        gradient : ndarray of shape (n_parameters,)
            Gradient of the loss. It is used as scratch space, so its values are lost.
        learning_rate : float or ndarray of shape (n_parameters,)
            The learning rate.
        """
        self.n_updates += 1
        m, v, scratch = self.first_moment, self.second_moment, gradient
        # v = beta_2 v + (1 - beta_2) g^2
        squared = gradient * gradient
        squared *= 1 - self.beta_2
        v *= self.beta_2
        v += squared
        # m = beta_1 m + (1 - beta_1) g
        scratch *= 1 - self.beta_1
        m *= self.beta_1
        m += scratch
        # theta -= learning_rate * m_hat / (sqrt(v_hat) + epsilon),
        # m_hat = m / (1 - beta_1^t),  v_hat = v / (1 - beta_2^t)
        correction_1 = 1 - self.beta_1**self.n_updates
        correction_2 = math.sqrt(1 - self.beta_2**self.n_updates)
        np.sqrt(v, out=squared)
        squared += self.epsilon * correction_2
        np.divide(m, squared, out=scratch)
        scratch *= learning_rate * correction_2 / correction_1
        parameters -= scratch


def clip_by_global_norm(gradient: Floats, max_norm: float | None) -> float:
    """Scale a gradient down, in place, if its Euclidean norm exceeds a bound.

    So one large gradient does not destroy what has been learned [1]_.

    Parameters
    ----------
    gradient : ndarray of shape (n_parameters,)
        Gradient with respect to all parameters; changed in place.
    max_norm : float or None
        The bound; None does not clip.

    Returns
    -------
    float
        The norm before clipping; not finite if the gradient is not.

    References
    ----------
    .. [1] R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural
       networks", ICML 2013.

    Examples
    --------
    >>> import numpy as np
    >>> from sklstm.nn import clip_by_global_norm
    >>> gradient = np.array([3.0, 4.0])
    >>> clip_by_global_norm(gradient, 1.0), gradient
    (5.0, array([0.6, 0.8]))
    """
    # NumPy's sum, unlike a BLAS dot product, does not depend on the number of threads.
    norm = float(np.sqrt(np.add.reduce(np.square(gradient))))
    if max_norm is not None and norm > max_norm and np.isfinite(norm):
        gradient *= max_norm / norm
    return norm
