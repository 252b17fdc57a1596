"""What digits select, from docs/specification.md by arithmetic; for the benches."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lutcore import TensorCoreConfig

from .payloads import join

__all__ = ["selections"]


def selections(digits: NDArray[np.int8], config: TensorCoreConfig) -> int:
    """The selections of a column's digits [k]: per lookup group a line for each stored entry, and
    `negate`, which subset sums have not."""
    g, d = config.lookup_group, config.table_digits
    fields: list[tuple[Any, int]] = []
    for group in digits.reshape(-1, g).tolist():
        if d == 3:
            value = sum(digit * 3**place for place, digit in enumerate(group))
            fields += [(1 << abs(value) >> 1, 4), (value < 0, 1)]
        elif config.subsets:
            place = sum((digit > 0) << place for place, digit in enumerate(group))
            fields.append((1 << place >> 1, 3))
        else:
            upper = [digit * group[-1] for digit in group[:-1]]
            place = sum((digit > 0) << place for place, digit in enumerate(upper))
            fields += [(1 << place, 1 << (g - 1)), (group[-1] < 0, 1)]
    return join(*fields)
