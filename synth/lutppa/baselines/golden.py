"""The integer baselines in plain numpy: the exact product of activations and decoded weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .config import BaselineConfig

__all__ = ["fold", "psums", "weights"]

Integers = NDArray[np.int64]


def weights(codes: NDArray[Any], equal: bool, config: BaselineConfig) -> Integers:
    """[N, K] weights of codes [planes, N, K], the most significant plane first.

    Designs that are not bit-serial have one plane, of whole codes. Planes that are `equal` weigh 1.
    """
    code = np.asarray(codes, np.int64)
    if config.coding == "integer":
        sign = 1 << (config.weight_bits - 1)
        values = (code ^ sign) - sign
    elif config.coding == "odd":
        values = 2 * code - ((1 << config.code_bits) - 1)
    elif config.coding == "ternary":
        values = code - 1
    else:
        values = code
    places = np.arange(len(code) - 1, -1, -1)
    plane_weights = np.ones_like(places) if equal else 1 << places
    return np.tensordot(plane_weights, values, axes=1)


def psums(
    activations: NDArray[Any], codes: NDArray[Any], equal: bool, config: BaselineConfig
) -> Integers:
    """[M, N] sums over a block of activations [M, K] times codes [planes, N, K]."""
    return np.asarray(activations, np.int64) @ weights(codes, equal, config).T


def fold(codes: NDArray[Any], config: BaselineConfig) -> Integers:
    """The codes as `folded` takes them; other designs take them as they are.

    In each lookup group the last bit is inverted and says whether to negate; where it does, all
    other bits are inverted.
    """
    code = np.asarray(codes, np.int64)
    if config.design != "folded":
        return code
    groups = code.reshape(*code.shape[:-1], -1, config.lookup_group)
    negate = 1 - groups[..., -1:]
    return np.concatenate([groups[..., :-1] ^ negate, negate], -1).reshape(code.shape)
