"""Random operands with the awkward ones often among them; used by the benches and by the soak."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lutcore import AffineWeights, TensorCoreConfig, TernaryWeights
from lutcore.formats import FloatFormat, IntegerFormat

from .payloads import Kind, Pass

__all__ = ["activations", "random_pass", "scales", "weights", "zeros"]


def activations(
    rng: np.random.Generator, fmt: FloatFormat | IntegerFormat, rows: int, length: int
) -> NDArray[Any]:
    """[rows, length] int8 or float16; each row of a kind of its own."""
    draw = _integers if isinstance(fmt, IntegerFormat) else _floats
    return np.stack([draw(rng, length) for _ in range(rows)])


def _integers(rng: np.random.Generator, length: int) -> NDArray[np.int8]:
    kind = rng.integers(6)
    if kind == 0:
        return rng.choice(np.array([-128, 127], np.int8), length)
    if kind == 1:
        return np.full(length, rng.choice([-128, -1, 0, 127]), np.int8)
    values = rng.integers(-128, 128, length).astype(np.int8)
    if kind == 2:
        values[rng.random(length) < 0.8] = 0
    return values


def _floats(rng: np.random.Generator, length: int) -> NDArray[np.float16]:
    kind = rng.integers(9)
    signs = rng.integers(2, size=length).astype(np.uint16) << 15
    codes = rng.integers(0x7C00, size=length).astype(np.uint16)
    if kind == 0:  # every exponent
        codes |= signs
    elif kind == 1:  # subnormals and the smallest normals
        codes = rng.integers(0x480, size=length).astype(np.uint16) | signs
    elif kind == 2:
        codes = np.uint16(0x7BFF) | signs
    elif kind == 3:
        codes = np.full(length, 0x7BFF, np.uint16)
    elif kind == 4:  # zeros, of both signs
        codes = signs
    elif kind == 5:  # few significant bits: ties in alignment and in entries
        exponent = rng.integers(0, 31) + rng.integers(-12, 1, length)
        fraction = rng.integers(8, size=length) << 7
        codes = (np.clip(exponent, 0, 30) << 10 | fraction).astype(np.uint16) | signs
    elif kind == 6:  # one value above many
        codes = (codes % 0x3C00).astype(np.uint16) | signs
        codes[rng.integers(length)] = 0x4000 + rng.integers(0x3C00)
    else:
        values = rng.standard_normal(length) * 2.0 ** rng.integers(-10, 11)
        codes = values.astype(np.float16).view(np.uint16)
    if rng.random() < 0.08:
        codes[rng.integers(length)] = rng.choice(np.array([0x7C00, 0xFC00, 0x7E00, 0xFC01]))
    return codes.view(np.float16)


def scales(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Zero or normal FP32 numbers: of a usual size, powers of two, or of any exponent."""
    kind = rng.integers(4)
    fraction = rng.integers(1 << 23, size=shape, dtype=np.uint32)
    sign = rng.integers(2, size=shape, dtype=np.uint32) << 31
    if kind == 0:
        exponent = rng.integers(1, 255, size=shape, dtype=np.uint32)
    elif kind == 1:
        exponent = rng.integers(100, 140, size=shape, dtype=np.uint32)
        fraction[...] = 0
    else:
        exponent = rng.integers(115, 128, size=shape, dtype=np.uint32)
    codes = sign | exponent << 23 | fraction
    codes[rng.random(shape) < 0.05] = 0
    return codes.view(np.float32)


def zeros(
    rng: np.random.Generator, shape: tuple[int, ...], config: TensorCoreConfig
) -> NDArray[np.int64]:
    """Doubled zero points z' of `config.zero_bits`: none, small, any, or the extremes."""
    limit = 1 << (config.zero_bits - 1)
    kind = rng.integers(4)
    if kind == 0:
        return np.zeros(shape, np.int64)
    if kind == 1:
        return rng.choice([-limit, limit - 1], shape)
    bound = limit if kind == 2 else min(limit, 8)
    return rng.integers(-bound, bound, shape)


def weights(
    rng: np.random.Generator, n: int, k: int, config: TensorCoreConfig
) -> AffineWeights | TernaryWeights:
    """[n, k] of any bits that the configuration holds, or ternary; in groups of any length."""
    group = int(rng.choice([k, int(rng.integers(1, k + 1)), min(k, 2 * config.block)]))
    factors = scales(rng, (n, -(-k // group)))
    if config.weight_bits > 1 and rng.random() < 0.25:
        ternary = rng.integers(-1, 2, (n, k)).astype(np.int8)
        return TernaryWeights(ternary, factors, group)
    bits = int(rng.integers(1, config.weight_bits + 1))
    top = (1 << bits) - 1
    if rng.random() < 0.2:
        codes = np.broadcast_to(rng.choice([0, top], (n, 1)), (n, k)).astype(np.uint8)
    else:
        codes = rng.integers(0, top + 1, (n, k)).astype(np.uint8)
    # z' = 2z + 1 - 2^bits.
    points = (zeros(rng, factors.shape, config) + top) / 2
    return AffineWeights(codes, bits, factors, points, group)


def random_pass(rng: np.random.Generator, config: TensorCoreConfig, kind: Kind) -> Pass:
    """A pass of any format (integers where it is raw), length, planes and codes."""
    formats = [fmt for fmt in config.formats if isinstance(fmt, IntegerFormat) or not kind.raw]
    fmt = formats[rng.integers(len(formats))]
    equal = config.weight_bits > 1 and rng.random() < 0.25
    planes = 2 if equal else int(rng.integers(1, config.weight_bits + 1))
    length = int(rng.integers(1, config.block + 1))
    groups = -(-length // config.k) * config.groups_per_step
    shape = (planes, config.n, groups)
    codes = rng.integers(1 << config.lookup_group, size=shape).astype(np.uint8)
    if rng.random() < 0.2:
        codes[...] = rng.choice([config.entries - 1, (1 << config.lookup_group) - 1])
    return Pass(fmt, activations(rng, fmt, config.m, length), codes, equal, kind)
