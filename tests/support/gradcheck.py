"""Two derivatives that owe nothing to backpropagation, and the comparison with them."""

import numpy as np


def finite_differences(f, x, step=3e-4):
    """Gradient of ``f`` at the vector ``x`` by central differences of fourth order, in float64.

    The error is about step^4 from the formula and 1e-16 |f| / step from rounding.
    """

    def along(k, distance):
        moved = np.array(x, dtype=np.float64)
        moved[k] += distance
        return f(moved)

    return np.array(
        [
            (8 * (along(k, step) - along(k, -step)) - (along(k, 2 * step) - along(k, -2 * step)))
            / (12 * step)
            for k in range(len(x))
        ]
    )


def complex_step(f, x):
    """Gradient of an analytic ``f`` at the vector ``x``, exact to rounding.

    f(x + i s) = f(x) + i s f'(x) + O(s^2), in which nothing cancels, so s can be tiny.
    """
    step = 1e-30
    gradient = np.empty(len(x))
    for k in range(len(x)):
        moved = np.array(x, dtype=np.complex128)
        moved[k] += 1j * step
        gradient[k] = f(moved).imag / step
    return gradient


def assert_gradient(gradient, truth, rtol=1e-7):
    """Fail unless every entry has ``rtol`` of its own size.

    Entries a thousand times smaller than the largest are held to that thousandth: finite
    differences are no better.
    """
    assert gradient.shape == truth.shape
    size = np.maximum(np.abs(truth), 1e-3 * np.abs(truth).max(initial=0))
    error = np.abs(gradient - truth)
    wrong = np.flatnonzero(~(error <= rtol * size))  # a NaN is wrong
    assert not len(wrong), (
        f"{len(wrong)} of {len(truth)} entries are wrong, the first of them entry {wrong[0]}: "
        f"{gradient[wrong[0]]!r} instead of {truth[wrong[0]]!r}"
    )
