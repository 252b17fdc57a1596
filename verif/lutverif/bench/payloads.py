"""Payloads of every stream as integers, written once more from docs/specification.md, "Streams".

Nothing here is taken from the RTL's layouts, so that a wrong layout shows. The inner streams:

    steps    m rows of k aligned activations, control, scaling
    tables   m rows of G tables (entries, then the low bit where they have one), control, scaling
    psums    n columns of m psums, m activation sums, m sums of low bits likewise, scaling

control is `clear`, `shift`, `restart_sum`, `end`; scaling is m exponents e, m bits `nonfinite`, the
sum of what the planes weigh where tables hold subset sums, and the `offset`, `scale`, `first`,
`addend` (of a core with addends), `last`, `output` of the pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lutcore import TensorCoreConfig
from lutcore.formats import OUTPUTS, SCALES, FloatFormat, IntegerFormat
from lutcore.layout import lookup_codes
from lutcore.numbers import encode
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


def _index(names: tuple[str, ...], name: str) -> Field:
    """The place of a format among those of its kind."""
    return names.index(name), max(1, (len(names) - 1).bit_length())


@dataclass(frozen=True)
class Kind:
    """What a pass is to its output: the first of its passes, the last, in which format it ends.

    addend  with `first`: accumulators start from addends
    """

    first: bool = True
    last: bool = True
    output: str = "fp32"
    addend: bool = False


@dataclass(frozen=True)
class Pass:
    """A segment for one tile.

    activations  [m, L] values of `fmt`
    digits       [planes, n, steps * k] int8, -1 or +1, or 0 where the core has ternary digits
    keep         the activations are those of the pass before, and not sent again
    offset       there are two rounds of scales
    scale        format of the scales
    """

    fmt: FloatFormat | IntegerFormat
    activations: NDArray[Any]
    digits: NDArray[np.int8]
    equal: bool
    kind: Kind
    keep: bool = False
    offset: bool = False
    scale: str = "fp32"


class Payloads:
    """The payloads of `config`."""

    def __init__(self, config: TensorCoreConfig) -> None:
        self.config = config
        # Tables of binary digits: subset sums of pairs, else halves of sums and their low bit.
        self.subsets = (config.table_digits, config.lookup_group) == (2, 2)
        self.halved = config.table_digits == 2 and not self.subsets

    def _shape(self, item: Pass) -> tuple[int, int]:
        """Planes and steps of a pass."""
        planes, _, length = item.digits.shape
        return planes, length // self.config.k

    def descriptor(self, item: Pass) -> int:
        """`i_passes`."""
        c = self.config
        planes, steps = self._shape(item)
        return join(
            _index(c.activations, item.fmt.name),
            (planes - 1, max(1, (c.weight_bits - 1).bit_length())),
            (steps - 1, max(1, (c.block // c.k - 1).bit_length())),
            (item.equal, 1),
            (item.keep, 1),
            *self.rescaling(item),
        )

    def rescaling(self, item: Pass) -> list[Field]:
        """What `rescale` does with a pass."""
        return [
            (item.offset, 1),
            _index(self.config.scales, item.scale),
            (item.kind.first, 1),
            *[(item.kind.addend, 1)] * self.config.addends,
            (item.kind.last, 1),
            _index(self.config.outputs, item.kind.output),
        ]

    def activations(self, item: Pass, rng: np.random.Generator) -> list[int]:
        """`i_activations`, one word a step. Bits that a narrow format ignores are random."""
        c = self.config
        if item.keep:
            return []
        codes = encode(item.activations, item.fmt).astype(np.int64)
        codes = np.pad(codes, ((0, 0), (0, -codes.shape[1] % c.k)))
        codes |= rng.integers(1 << 16, size=codes.shape) << item.fmt.bits
        return [
            join((codes[:, start : start + c.k], c.activation_bits))
            for start in range(0, codes.shape[1], c.k)
        ]

    def steps(self, item: Pass) -> list[int]:
        """What `precompute` makes of a pass: its steps, once for every plane."""
        c = self.config
        aligned = golden.precompute(item.activations, item.fmt, c).aligned
        return [
            join((aligned[:, s * c.k : (s + 1) * c.k], c.aligned_bits), *rest)
            for s, rest in self._replay(item)
        ]

    def tables(self, item: Pass) -> list[int]:
        """What `table` makes of the steps of a pass."""
        c = self.config
        tables = golden.table(golden.precompute(item.activations, item.fmt, c).aligned, c)
        size = c.groups_per_step
        return [
            join(*self.step_tables(tables, s * size, (s + 1) * size), *rest)
            for s, rest in self._replay(item)
        ]

    def step_tables(self, tables: golden.Tables, start: int, stop: int) -> list[Field]:
        """Tables start..stop of every row."""
        fields: list[Field] = []
        for entries, odd in zip(tables.entries, tables.odd, strict=True):
            for group in range(start, stop):
                fields.append((entries[group], self.config.table_bits))
                if self.halved:
                    fields.append((odd[group], 1))
        return fields

    def _replay(self, item: Pass) -> list[tuple[int, list[Field]]]:
        """(step, control and scaling) of every beat: planes outside, steps inside."""
        planes, steps = self._shape(item)
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
        """Exponents and nonfinite rows of a pass, and what `rescale` does with it."""
        _, exponent, nonfinite = golden.precompute(item.activations, item.fmt, self.config)
        return self.scaled(exponent, nonfinite, self.plane_sum(item)) + self.rescaling(item)

    def scaled(self, exponent: Any, nonfinite: Any, plane_sum: int) -> list[Field]:
        """The part of the scaling that depends on activations and planes."""
        c = self.config
        planes: list[Field] = [(plane_sum, c.weight_bits)] if self.subsets else []
        return [(exponent, c.exponent_bits), (nonfinite, 1), *planes]

    def plane_sum(self, item: Pass) -> int:
        """What the planes of a pass weigh together."""
        planes = len(item.digits)
        return planes if item.equal else (1 << planes) - 1

    def weights(self, item: Pass) -> list[int]:
        """`i_weights`, one word per plane and step: the codes of every column."""
        c = self.config
        planes, steps = self._shape(item)
        codes = lookup_codes(item.digits, c).reshape(planes, c.n, steps, -1)
        bits = c.code_bits // codes.shape[-1]
        return [join((codes[p, :, s], bits)) for p in range(planes) for s in range(steps)]

    def looked_up(self, item: Pass) -> tuple[golden.LookedUp, NDArray[np.int64]]:
        """What the lanes accumulate in a pass, and the activation sums [m]."""
        c = self.config
        tables = golden.table(golden.precompute(item.activations, item.fmt, c).aligned, c)
        return golden.lookup(tables, item.digits, item.equal, c), golden.activation_sum(tables, c)

    def psums(
        self, looked_up: golden.LookedUp, sums: NDArray[np.int64], scaling: list[Field]
    ) -> int:
        """One beat of psums [m, n], sums [m] and sums of low bits [m]."""
        c = self.config
        odds: list[Field] = [(looked_up.base, c.odd_bits)] if self.halved else []
        return join((looked_up.psum.T, c.psum_bits), (sums, c.sum_bits), *odds, *scaling)

    def scales(
        self,
        scale: NDArray[np.float32],
        zero: NDArray[np.int64],
        fmt: str,
        rng: np.random.Generator,
    ) -> list[int]:
        """`i_scales`: the beats of one round from scale, of format `fmt`, and z' of its n columns.

        Bits that a narrow format ignores are random.
        """
        c = self.config
        bits = max(SCALES[name].bits for name in c.scales)
        codes = encode(scale, SCALES[fmt]).astype(np.int64)
        codes |= rng.integers(1 << 32, size=codes.shape) << SCALES[fmt].bits
        columns = [((s, bits), (z, c.zero_bits)) for s, z in zip(codes, zero, strict=True)]
        size = c.rescale_columns
        return [
            join(*(field for column in columns[start : start + size] for field in column))
            for start in range(0, c.n, size)
        ]

    def addends(self, codes: NDArray[np.uint32]) -> list[int]:
        """`i_addends`: the beats of the codes [m, n]."""
        size = self.config.rescale_columns
        return [
            join((codes[:, start : start + size].T, 32)) for start in range(0, self.config.n, size)
        ]

    def outputs(self, results: NDArray[Any], fmt: str) -> list[int]:
        """`o_outputs`: the beats of the results [m, n], of format `fmt`."""
        bits = max(OUTPUTS[name].bits for name in self.config.outputs)
        codes = encode(results, OUTPUTS[fmt])
        size = self.config.rescale_columns
        return [
            join((codes[:, start : start + size].T, bits))
            for start in range(0, self.config.n, size)
        ]
