"""Numbers of any library as Python's own, so that they can be checked, compared and written as JSON. Pure."""

from __future__ import annotations

import numbers
import operator
from collections.abc import Mapping
from decimal import Decimal
from typing import Any


def plain(value: Any) -> Any:
    """Return a whole or real number, such as numpy's, as an int or float, also inside of lists and mappings.

    Everything else stays as it is: that it does not fit is said elsewhere.
    """
    if value is None or type(value) in (bool, int, float, str, Decimal):
        return value
    if isinstance(value, numbers.Integral):
        return operator.index(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    return type(value)(map(plain, value)) if type(value) in (list, tuple) else value
