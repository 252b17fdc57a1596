"""What ternary digits select, from docs/specification.md by arithmetic; for the benches."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .payloads import join

__all__ = ["selections"]


def selections(digits: NDArray[np.int8]) -> int:
    """The selections of a column's digits [k]: per pair one line of four entries, and `negate`."""
    fields: list[tuple[Any, int]] = []
    for low, high in digits.reshape(-1, 2).tolist():
        value = low + 3 * high
        fields += [(1 << abs(value) >> 1, 4), (value < 0, 1)]
    return join(*fields)
