"""From a data type to the lanes: the cheapest planes whose sum is every weight exactly.

    type  ->  candidate routes  ->  the cheapest lossless one, proved over all codes

A route is a sum of *parts*, each one term of the core per segment, for a block scale of 1:

    decode(code) = sum over parts of (unit/2) (sum over planes of place * digit[code] - zero) + base

Four kinds of routes compete; the fewest cycles win:

    ternary, affine  levels unit * n: the binary digits of n as planes, in as few terms as fit
    signed           the same for sign and magnitude, where digits may be 0
    steps            a plane for each step between neighbouring levels: any codebook
    walsh            a plane for each product of code bits that the levels depend on

The steps of a `rounded` type are differences of FP32 numbers, of which each is the sum of at most
two FP32 numbers (Knuth's two-sum), so that no rounding of the type's own is lost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from math import gcd, lcm

import numpy as np
from numpy.typing import NDArray

from lutcore.config import TensorCoreConfig
from lutcore.formats import SCALES
from lutcore.layout import segments

from .types import DataType

__all__ = ["Part", "Route", "lower", "nearest"]

KINDS = ("ternary", "affine", "signed", "steps", "walsh")
"""Of equals, the first wins."""

MAX_PLANES = 64
"""Most planes of an integer route: places above 2^63 are of no use to FP32."""


@dataclass(frozen=True, eq=False)
class Part:
    """One term: (unit/2) (sum over planes of place * digit[code] - zero), for a scale of 1.

    digits   [planes, 2^bits] int8, most significant plane first
    equal    planes weigh 1 each instead of 2^i
    unit     times the block scale, the scale of the term
    zero     z', at most `zero_bits` wide
    pieces   FP32 numbers that unit times a block scale may take; a term is sent for each
    step     codes whose values differ by the unit; the scale of a rounded type's term
    factor   of that difference: 2 where one ternary plane takes the place of two
    """

    digits: NDArray[np.int8]
    equal: bool
    unit: Fraction
    zero: int
    pieces: int = 1
    step: tuple[int, int] | None = None
    factor: int = 1

    @property
    def planes(self) -> int:
        """Planes that the lanes look up, all pieces together."""
        return len(self.digits) * self.pieces

    def value(self, code: int) -> Fraction:
        """What the part contributes to `code`."""
        places = [1 if self.equal else 1 << i for i in reversed(range(len(self.digits)))]
        total = sum(p * int(d) for p, d in zip(places, self.digits[:, code], strict=True))
        return self.unit / 2 * (total - self.zero)


@dataclass(frozen=True, eq=False)
class Route:
    """How codes of `dtype` become planes on a core of `config`.

    kind   ternary, affine, signed, steps or walsh
    base   times the block scale, an offset of every weight
    codes  for which the route was made
    error  the largest |sum of parts - decode(code)| over the codes, in block scales
    """

    dtype: DataType
    config: TensorCoreConfig
    kind: str
    parts: tuple[Part, ...]
    base: Fraction
    codes: tuple[int, ...]
    error: Fraction = Fraction(0)

    @property
    def lossless(self) -> bool:
        """Whether every weight comes out exactly: no affine route rounds as a rounded type does."""
        return self.error == 0 and not (self.dtype.rounded and self.kind == "affine")

    @property
    def planes(self) -> int:
        """Bit planes that the lanes look up for a weight."""
        return sum(part.planes for part in self.parts)

    @property
    def passes(self) -> int:
        """Passes of the core for a segment."""
        return sum(part.pieces for part in self.parts)

    @property
    def cycles(self) -> float:
        """Cycles for a weight along K, in full blocks: lookups, or rescaling where it is slower."""
        return self._cycles(rescaling=True)

    @property
    def lookup_cycles(self) -> float:
        """Cycles for a weight along K in which lanes look up."""
        return self._cycles(rescaling=False)

    def _cycles(self, rescaling: bool) -> float:
        c = self.config
        group = self.dtype.group or c.block
        offset = self.base != 0 or self.dtype.offset is not None
        total = 0
        for cut in segments(group, group, c):
            for index, part in enumerate(self.parts):
                lookups = len(part.digits) * cut.steps(c)
                rounds = 1 + (offset and index == len(self.parts) - 1)
                least = rounds * c.round_cycles if rescaling else 0
                total += max(lookups, least) * part.pieces
        return total / group

    def value(self, code: int) -> Fraction:
        """What the route makes of `code`, for a block scale of 1."""
        return sum((part.value(code) for part in self.parts), self.base)

    def proved(self) -> Route:
        """The route with its error, found by computing every code in exact fractions."""
        levels = self.dtype.levels
        return replace(
            self, error=max(abs(self.value(c) - Fraction(float(levels[c]))) for c in self.codes)
        )

    def __str__(self) -> str:
        exact = "lossless" if self.lossless else f"error up to {float(self.error):.3g} scales"
        return (
            f"{self.dtype.name}: {self.kind}, {self.planes} planes in {self.passes} passes, "
            f"{self.cycles:.4g} cycles a weight, {exact}"
        )


@lru_cache(maxsize=256)
def lower(dtype: DataType, config: TensorCoreConfig, codes: tuple[int, ...] | None = None) -> Route:
    """The cheapest lossless route of `dtype` on `config`; if there is none, `nearest` to it.

    `codes` are those that occur, by default all that are not reserved.
    """
    chosen = tuple(int(c) for c in dtype.codes) if codes is None else codes
    found: list[Route] = []
    for kind, wanted, constant in _candidates(dtype, config, chosen):
        parts, base = _within(wanted, constant, config)
        if dtype.rounded and base != constant:
            continue  # half a sum of rounded levels is known only where it is 0
        ready = [_with_pieces(part, dtype) for part in parts]
        if None not in ready and (base == 0 or _pieces(base, dtype) == 1 or dtype.rounded):
            whole = tuple(part for part in ready if part is not None)
            found.append(Route(dtype, config, kind, whole, base, chosen))
    for route in sorted(
        found, key=lambda r: (r.cycles, r.planes, r.base != 0, KINDS.index(r.kind))
    ):
        proved = route.proved()
        if proved.lossless:
            return proved
    return nearest(dtype, config, chosen)


def nearest(
    dtype: DataType, config: TensorCoreConfig, codes: tuple[int, ...] | None = None
) -> Route:
    """The affine route of 8 planes that is nearest to the levels: the best of units in use.

    The unit is a power of two, so that unit times scale is a number of the scale's format.
    """
    chosen = tuple(int(c) for c in dtype.codes) if codes is None else codes
    levels = [Fraction(float(dtype.levels[c])) for c in chosen]
    span = max(levels) - min(levels)
    unit = Fraction(1)
    while unit * 255 < span:
        unit *= 2
    while unit * 255 >= 2 * span > 0:
        unit /= 2
    low = round(min(levels) / unit)
    low -= max(0, round(max(levels) / unit) - low - 255)
    values = {
        c: min(255, max(0, round(v / unit) - low)) for c, v in zip(chosen, levels, strict=True)
    }
    parts, base = _affine(values, unit, low * unit, config, 1 << dtype.bits, 8)
    return Route(dtype, config, "affine", tuple(parts), base, chosen).proved()


Candidate = tuple[str, list[Part], Fraction]


def _candidates(
    dtype: DataType, config: TensorCoreConfig, codes: tuple[int, ...]
) -> Iterator[Candidate]:
    exact = {code: Fraction(float(dtype.levels[code])) for code in codes}
    size = 1 << dtype.bits
    if not dtype.zero:
        yield _steps(exact, config, size, dtype.rounded)
    if dtype.rounded:
        return
    # All levels as integers n of one power of two; `grid` is their greatest common divisor.
    quantum = Fraction(1, lcm(*(level.denominator for level in exact.values())))
    numbers = {code: int(level / quantum) for code, level in exact.items()}
    low = min(numbers.values())
    difference = gcd(*(n - low for n in numbers.values())) or max(1, abs(low))
    for grid in sorted({difference, gcd(difference, 2 * low)}, reverse=True):
        values = {code: (n - low) // grid for code, n in numbers.items()}
        planes = max(1, max(values.values()).bit_length())
        if planes <= MAX_PLANES:
            spread = _affine(
                values, quantum * grid, quantum * low, config, size, planes, dtype.zero
            )
            yield "affine", *spread
    if dtype.zero:
        return
    if config.table_digits == 3:
        grid = gcd(*numbers.values()) or 1
        whole = {code: n // grid for code, n in numbers.items()}
        planes = max(1, max(map(abs, whole.values())).bit_length())
        if planes <= MAX_PLANES:
            digits = np.zeros((planes, size), np.int8)
            for code, n in whole.items():
                digits[:, code] = [
                    (n > 0) - (n < 0) if abs(n) >> i & 1 else 0 for i in range(planes)
                ][::-1]
            kind = "ternary" if planes == 1 else "signed"
            yield kind, _divided(digits, 2 * quantum * grid, 0, config), Fraction(0)
    if len(codes) == size:
        yield _walsh(exact, quantum, list(range(size)), config)
        if len(set(exact.values())) == size:
            yield _walsh(exact, quantum, sorted(range(size), key=exact.__getitem__), config)


def _affine(
    values: dict[int, int],
    unit: Fraction,
    low: Fraction,
    config: TensorCoreConfig,
    size: int,
    planes: int,
    fixed: bool = False,
) -> tuple[list[Part], Fraction]:
    """Parts and base of levels unit * value + low.

    Codes of fewer than 2^planes values may be shifted: by what makes z' smallest, unless `fixed`.
    """
    plain = 1 - (1 << planes) - 2 * low / unit  # z' without a shift
    spare = (1 << planes) - 1 - max(values.values())
    shift = 0 if fixed else min(spare, max(0, round(-plain / 2)))
    zero, base = plain + 2 * shift, Fraction(0)
    if not _holds(config, zero):
        lowest = -1 if planes == 1 else 1 - (1 << planes)
        shift, zero, base = 0, Fraction(max(lowest, config.zero_range.start)), low
        # (unit/2)(q' - z') with z' = 1 - 2^planes is unit * q; what z' cannot hold is in the base.
        base += unit / 2 * (zero - (1 - (1 << planes)))
    digits = np.full((planes, size), -1, np.int8)
    for code, value in values.items():
        digits[:, code] = [2 * (value + shift >> i & 1) - 1 for i in reversed(range(planes))]
    return _divided(digits, unit, int(zero), config), base


def _holds(config: TensorCoreConfig, zero: Fraction | int) -> bool:
    """Whether `zero` is a z' of the core."""
    return zero.denominator == 1 and int(zero) in config.zero_range


def _within(
    parts: list[Part], base: Fraction, config: TensorCoreConfig
) -> tuple[list[Part], Fraction]:
    """The same sum with z' that the core holds: those that it does not hold are in the base."""
    held = [part if _holds(config, part.zero) else replace(part, zero=0) for part in parts]
    moved = sum(
        (part.unit * (part.zero - own.zero) / 2 for part, own in zip(parts, held, strict=True)),
        Fraction(0),
    )
    return held, base - moved


def _divided(
    digits: NDArray[np.int8], unit: Fraction, zero: int, config: TensorCoreConfig
) -> list[Part]:
    """Planes in as few terms as `weight_bits` allows, of equal size or one less."""
    parts: list[Part] = []
    below = len(digits)
    for planes in np.array_split(digits, -(-len(digits) // config.weight_bits)):
        below -= len(planes)
        parts.append(Part(planes, False, unit * (1 << below), 0 if below else zero))
    return parts


def _steps(
    exact: dict[int, Fraction], config: TensorCoreConfig, size: int, rounded: bool
) -> Candidate:
    """A plane for each step between neighbouring levels, and the level that they start from."""
    levels = sorted(set(exact.values()))
    first = {level: code for code, level in reversed(exact.items())}
    middle = next((low for low, high in pairwise(levels) if low == -high), None)
    start = Fraction(0) if 0 in first else middle
    base = Fraction(0) if start is not None else levels[0]
    start = levels[0] if start is None else start

    def above(level: Fraction) -> NDArray[np.int8]:
        digits = np.full(size, -1, np.int8)
        digits[[code for code, value in exact.items() if value >= level]] = 1
        return digits

    parts: list[Part] = []
    for low, high in pairwise(levels):
        zero = 0 if low == middle else -1 if low >= start else 1
        step = (first[high], first[low])
        parts.append(Part(above(high)[None], False, high - low, zero, step=step))
    if len(levels) == 1:
        parts = [
            Part(
                np.full((1, size), 1, np.int8),
                False,
                Fraction(0),
                0,
                step=(first[levels[0]], first[levels[0]]),
            )
        ]
        base = levels[0]
    if config.table_digits == 3:
        parts = _paired(parts, exact)
    merged = _merged(parts, config, by_value=rounded, exact=exact)
    kind = "ternary" if levels in ([-levels[-1], 0, levels[-1]], [0]) else "steps"
    return kind, merged, base


def _paired(parts: list[Part], exact: dict[int, Fraction]) -> list[Part]:
    """A step above zero and its mirror image below share a plane of digits -1, 0, +1."""

    def ends(part: Part) -> tuple[Fraction, Fraction]:
        assert part.step is not None
        return exact[part.step[0]], exact[part.step[1]]

    below = {ends(part): part for part in parts if part.zero == 1}
    taken: set[int] = set()
    result: list[Part] = []
    for part in parts:
        high, low = ends(part)
        mirror = below.get((-low, -high)) if part.zero == -1 else None
        if mirror is not None:
            taken.add(id(mirror))
            digits = ((part.digits + mirror.digits) // 2).astype(np.int8)
            result.append(replace(part, digits=digits, unit=2 * part.unit, zero=0, factor=2))
        else:
            result.append(part)
    return [part for part in result if id(part) not in taken]


def _merged(
    parts: list[Part], config: TensorCoreConfig, by_value: bool, exact: dict[int, Fraction]
) -> list[Part]:
    """Single planes whose units are equal, or double each other, in one term.

    Of rounded values (`by_value`) only mirrored steps are sure to be equal.
    """
    pending: dict[object, list[Part]] = defaultdict(list)
    for part in parts:
        key: object = part.unit
        if by_value:
            assert part.step is not None
            key = (tuple(sorted(abs(exact[code]) for code in part.step)), part.unit)
        pending[key].append(part)
    result: list[Part] = []
    if not by_value:
        for unit in sorted(pending):  # type: ignore[type-var]
            while pending[unit]:
                chain: list[Part] = []
                following = unit
                while len(chain) < config.weight_bits and pending.get(following):
                    chain.append(pending[following].pop())
                    following *= 2  # type: ignore[operator]
                zero = sum(part.zero << i for i, part in enumerate(chain))
                if len(chain) > 1 and _holds(config, zero):
                    digits = np.concatenate([part.digits for part in reversed(chain)])
                    result.append(replace(chain[0], digits=digits, zero=zero))
                else:
                    result.extend(chain)
        pending = defaultdict(list)
        for part in result:
            pending[part.unit if len(part.digits) == 1 else id(part)].append(part)
        result = []
    for same in pending.values():
        for start in range(0, len(same), config.weight_bits):
            run = same[start : start + config.weight_bits]
            zero = sum(part.zero for part in run)
            if len(run) > 1 and _holds(config, zero):
                digits = np.concatenate([part.digits for part in run])
                result.append(replace(run[0], digits=digits, equal=True, zero=zero))
            else:
                result.extend(run)
    return result


def _walsh(
    exact: dict[int, Fraction], quantum: Fraction, order: list[int], config: TensorCoreConfig
) -> Candidate:
    """A plane for each product of bits of a code's place in `order` with a coefficient not 0."""
    size = len(order)
    spectrum = np.array([int(exact[code] / quantum) for code in order], dtype=object)
    half = 1
    while half < size:  # Hadamard, in place
        pairs = spectrum.reshape(-1, 2, half)
        spectrum = np.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], 1).reshape(-1)
        half *= 2
    base = quantum * int(spectrum[0]) / size
    parts: list[Part] = []
    for subset in range(1, size):
        if spectrum[subset]:
            negative = spectrum[subset] < 0
            digits = np.empty((1, size), np.int8)
            digits[0, order] = [
                -1 if ((place & subset).bit_count() + negative) % 2 else 1 for place in range(size)
            ]
            unit = 2 * quantum * abs(int(spectrum[subset])) / size
            parts.append(Part(digits, False, unit, 0))
    # z' takes the constant where all planes together, or one, can.
    if base and base == sum(part.unit for part in parts) / 2:
        parts, base = [replace(part, zero=-1) for part in parts], Fraction(0)
    for index, part in enumerate(parts):
        zero = -2 * base / part.unit
        if base and _holds(config, zero):
            parts[index], base = replace(part, zero=int(zero)), Fraction(0)
    return "walsh", _merged(parts, config, by_value=False, exact=exact), base


def _with_pieces(part: Part, dtype: DataType) -> Part | None:
    """The part with its pieces; None where no two FP32 numbers hold unit times any scale.

    Differences of a rounded type's values may take two, but hardly ever do; they count as one.
    """
    if dtype.rounded:
        return part
    pieces = _pieces(part.unit, dtype)
    return None if pieces is None else replace(part, pieces=pieces)


def _pieces(unit: Fraction, dtype: DataType) -> int | None:
    """FP32 numbers whose sum is `unit` times any scale of the type: 1, 2, or None for more."""
    if unit == 0:
        return 1
    odd = abs(unit.numerator)
    exponent = odd.bit_length() - unit.denominator.bit_length()
    if abs(exponent) > 100:
        return None
    bits = (odd // (odd & -odd)).bit_length()
    scale = 1 if dtype.scale is None else SCALES[dtype.scale].significand_bits
    need = max(bits, scale) if 1 in (bits, scale) else bits + scale
    return 1 if need <= 24 else 2 if need <= 48 else None
