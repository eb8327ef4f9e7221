"""Student's t distribution, in the standard library's floats."""

import math
from functools import cache

_STEPS = 500  # of the continued fraction; it converges in fewer than 100
_TINY = 1e-300


def two_sided_p(t: float, freedom: float) -> float:
    """The probability of a value of t as far from zero.

    Args:
        t: The statistic.
        freedom: The degrees of freedom, above 0; need not be an integer.
    """
    if math.isinf(t):
        return 0.0
    return _beta(freedom / 2, 0.5, freedom / (freedom + t * t))


@cache
def critical(level: float, freedom: float) -> float:
    """The t that a share ``level`` of the values is nearer to zero than.

    Args:
        level: Such as 0.95.
        freedom: The degrees of freedom, above 0.
    """
    low, high = 0.0, 1.0
    while two_sided_p(high, freedom) > 1 - level:
        low, high = high, 2 * high
    while high - low > 1e-13 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided_p(middle, freedom) > 1 - level else (low, middle)
    return (low + high) / 2


def _beta(a: float, b: float, x: float) -> float:
    """The regularized incomplete beta function (Numerical Recipes, 6.4)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    logarithm = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(logarithm + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(a, b, x) / a
    return 1 - front * _fraction(b, a, 1 - x) / b


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function, by Lentz's method."""
    c = 1.0
    d = 1 / _away(1 - (a + b) * x / (a + 1))
    result = d
    for m in range(1, _STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        change = 1.0
        for term in (even, odd):
            d = 1 / _away(1 + term * d)
            c = _away(1 + term / c)
            change = c * d
            result *= change
        if abs(change - 1) < 1e-16:
            break
    return result


def _away(value: float) -> float:
    """The value, but not so near to zero that it can't be a divisor."""
    return value if abs(value) > _TINY else _TINY
