"""Payloads of every stream as integers, written once more from docs/specification.md, "Streams".

Nothing here is taken from the RTL's layouts, so that a wrong layout shows. The inner streams:

    steps    m rows of k aligned activations, control, scaling
    tables   m rows of G tables of 2^(g-1) entries, control, scaling
    psums    n columns of m psums, m activation sums, scaling

control is `clear`, `shift`, `restart_sum`, `end`; scaling is m exponents e, m bits `nonfinite` and
the `first`, `last`, `raw` of the pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lutcore import TensorCoreConfig
from lutcore.formats import FloatFormat, IntegerFormat
from lutverif import golden

__all__ = ["Kind", "Pass", "Payloads", "join"]

Field = tuple[Any, int]


def join(*fields: Field) -> int:
    """One word of (integer or array of integers, bits of each), the first field lowest."""
    word = offset = 0
    for values, bits in fields:
        mask = (1 << bits) - 1
        for value in np.ravel(values).tolist():
            word |= (int(value) & mask) << offset
            offset += bits
    return word


@dataclass(frozen=True)
class Kind:
    """Flags of a pass that `rescale` obeys."""

    first: bool = True
    last: bool = True
    raw: bool = False

    @property
    def fields(self) -> list[Field]:
        """The flags as fields of a payload."""
        return [(self.first, 1), (self.last, 1), (self.raw, 1)]


@dataclass(frozen=True)
class Pass:
    """A segment for one tile.

    activations [m, L] of `fmt`; codes [planes, n, groups] folded, groups a multiple of G
    """

    fmt: FloatFormat | IntegerFormat
    activations: NDArray[Any]
    codes: NDArray[np.uint8]
    equal: bool
    kind: Kind


class Payloads:
    """The payloads of `config`."""

    def __init__(self, config: TensorCoreConfig) -> None:
        self.config = config

    def descriptor(self, item: Pass) -> int:
        """`i_passes`."""
        c = self.config

        def bits(count: int) -> int:
            return max(1, (count - 1).bit_length())

        planes, _, groups = item.codes.shape
        return join(
            (c.activations.index(item.fmt.name), bits(len(c.activations))),
            (planes - 1, bits(c.weight_bits)),
            (groups // c.groups_per_step - 1, bits(c.block // c.k)),
            (item.equal, 1),
            *item.kind.fields,
        )

    def activations(self, item: Pass, rng: np.random.Generator) -> list[int]:
        """`i_activations`, one word a step. Bits that a narrow format ignores are random."""
        c = self.config
        codes = item.activations.view(np.uint16 if item.fmt.bits == 16 else np.uint8).astype(int)
        codes = np.pad(codes, ((0, 0), (0, -codes.shape[1] % c.k)))
        codes |= rng.integers(1 << 16, size=codes.shape) << item.fmt.bits
        return [
            join((codes[:, start : start + c.k], c.activation_bits))
            for start in range(0, codes.shape[1], c.k)
        ]

    def steps(self, item: Pass) -> list[int]:
        """What `precompute` makes of a pass: its steps, once for every plane."""
        c = self.config
        aligned = golden.precompute(item.activations, item.fmt, c)
        return [
            join((aligned.aligned[:, s * c.k : (s + 1) * c.k], c.aligned_bits), *rest)
            for s, rest in self._replay(item)
        ]

    def tables(self, item: Pass) -> list[int]:
        """What `table` makes of the steps of a pass."""
        c = self.config
        entries = golden.table(golden.precompute(item.activations, item.fmt, c).aligned, c)
        size = c.groups_per_step
        return [
            join((entries[:, s * size : (s + 1) * size], c.table_bits), *rest)
            for s, rest in self._replay(item)
        ]

    def _replay(self, item: Pass) -> list[tuple[int, list[Field]]]:
        """(step, control and scaling) of every beat: planes outside, steps inside."""
        planes, _, groups = item.codes.shape
        steps = groups // self.config.groups_per_step
        scaling = self.scaling(item)
        return [
            (
                step,
                [
                    (plane == 0 and step == 0, 1),
                    (step == 0 and not item.equal, 1),
                    (step == 0, 1),
                    (plane == planes - 1 and step == steps - 1, 1),
                    *scaling,
                ],
            )
            for plane in range(planes)
            for step in range(steps)
        ]

    def scaling(self, item: Pass) -> list[Field]:
        """Exponents, nonfinite rows and kind of a pass."""
        _, exponent, nonfinite = golden.precompute(item.activations, item.fmt, self.config)
        bits = self.config.exponent_bits
        return [(exponent, bits), (nonfinite, 1), *item.kind.fields]

    def weights(self, item: Pass) -> list[int]:
        """`i_weights`, one word per plane and step."""
        c = self.config
        planes, _, groups = item.codes.shape
        size = c.groups_per_step
        return [
            join((item.codes[plane, :, start : start + size], c.lookup_group))
            for plane in range(planes)
            for start in range(0, groups, size)
        ]

    def looked_up(self, item: Pass) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """psum [m, n] and activation sum [m] of a pass."""
        c = self.config
        entries = golden.table(golden.precompute(item.activations, item.fmt, c).aligned, c)
        return golden.lookup(entries, item.codes, item.equal, c), golden.activation_sum(entries)

    def psums(self, psum: NDArray[np.int64], total: NDArray[np.int64], scaling: list[Field]) -> int:
        """One beat of psums [m, n] and sums [m]."""
        c = self.config
        return join((psum.T, c.psum_bits), (total, c.sum_bits), *scaling)

    def scales(self, scale: NDArray[np.float32], zero: NDArray[np.int64]) -> list[int]:
        """`i_scales`: the beats of one pass from scale and z' of its n columns."""
        c = self.config
        columns = [
            ((s, 32), (z, c.zero_bits)) for s, z in zip(scale.view("<u4"), zero, strict=True)
        ]
        size = c.rescale_columns
        return [
            join(*(field for column in columns[start : start + size] for field in column))
            for start in range(0, c.n, size)
        ]

    def outputs(self, acc: NDArray[Any]) -> list[int]:
        """`o_outputs`: the beats of the accumulators [m, n]."""
        codes = np.ascontiguousarray(acc).view(np.uint32)
        size = self.config.rescale_columns
        return [
            join((codes[:, start : start + size].T, 32)) for start in range(0, self.config.n, size)
        ]
