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
    try:
        return _plain(value)
    except (OverflowError, RecursionError):  # a fraction larger than any float, a mapping that holds itself
        return value


def _plain(value: Any) -> Any:
    if value is None or type(value) in (bool, int, float, str, Decimal):
        return value
    if isinstance(value, numbers.Integral):
        return operator.index(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return type(value)(map(_plain, value)) if type(value) in (list, tuple) else value
