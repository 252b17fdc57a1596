"""Routes from codes to planes: the sum of the parts against the levels, in exact fractions."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutblas.lowering import Route, lower, nearest
from lutblas.tensors import Tensor
from lutblas.types import TYPES, DataType, codebook
from lutcore.config import PRESETS, TensorCoreConfig
from lutcore.errors import InputError

CONFIGS = {name: PRESETS[name] for name in ("paper", "tiny", "ternary")} | {
    "two planes": TensorCoreConfig(m=1, n=2, weight_bits=2),
    "one plane": TensorCoreConfig(m=1, n=2, weight_bits=1),
}
EXACT_IN_FLOAT32 = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)


def total(route: Route, code: int) -> Fraction:
    """The weight that the terms of the specification give, for a block scale of 1."""
    weight = route.base
    for part in route.parts:
        column = [int(digit) for digit in part.digits[:, code]]
        if part.equal:
            planes = sum(column)
        else:
            planes = 0
            for digit in column:  # the most significant first
                planes = 2 * planes + digit
        weight += part.unit * (planes - part.zero) / 2
    return weight


def check(route: Route, codes: Sequence[int] | None = None) -> None:
    """Every code comes out exactly, and every part fits the core."""
    dtype, config = route.dtype, route.config
    digits = {-1, 0, 1} if config.table_digits == 3 else {-1, 1}
    assert route.lossless
    for code in dtype.codes if codes is None else codes:
        assert total(route, int(code)) == Fraction(float(dtype.levels[code])), code
    for part in route.parts:
        assert part.digits.shape[1] == 1 << dtype.bits
        assert 1 <= len(part.digits) <= config.weight_bits
        assert part.zero in config.zero_range
        assert set(part.digits.ravel().tolist()) <= digits


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("name", TYPES)
def test_every_type_is_exact(name: str, config: str) -> None:
    check(lower(TYPES[name], CONFIGS[config]))


@pytest.mark.parametrize("weight_bits", [1, 2, 8])
@pytest.mark.parametrize("name", TYPES)
def test_cores_without_zero_points(name: str, weight_bits: int) -> None:
    """What no z' holds is an offset."""
    check(lower(TYPES[name], TensorCoreConfig(m=1, n=2, weight_bits=weight_bits, zero_bits=0)))


def test_rounded_levels_without_zero_points() -> None:
    """Half the sum of the outermost levels, each rounded with its scale, is exact only if 0."""
    config = TensorCoreConfig(m=1, n=2, zero_bits=0)
    check(lower(codebook([-1.0, -0.25, 0.0, 1.0]), config))
    assert not lower(codebook([-1.0, -0.25, 0.0, 0.75]), config).lossless


@pytest.mark.parametrize(
    ("name", "config", "kind", "planes", "passes"),
    [
        ("ternary", "paper", "ternary", 2, 1),
        ("ternary", "ternary", "ternary", 1, 1),
        ("ternary", "one plane", "ternary", 2, 2),
        ("tq1_0", "ternary", "ternary", 1, 1),
        ("uint1", "paper", "affine", 1, 1),
        ("int1", "paper", "affine", 1, 1),
        ("int4", "paper", "affine", 4, 1),
        ("int4", "two planes", "affine", 4, 2),
        ("int8", "paper", "affine", 8, 1),
        ("int8", "two planes", "affine", 8, 4),
        ("q4_1", "paper", "affine", 4, 1),
        ("mxfp4", "paper", "affine", 5, 1),
        ("nvfp4", "tiny", "affine", 5, 1),
        ("fp4_e2m1", "ternary", "signed", 4, 1),
        ("fp6_e2m3", "paper", "affine", 7, 1),
        ("fp6_e3m2", "paper", "affine", 10, 2),
        ("mxfp6_e3m2", "paper", "affine", 10, 2),
        ("iq4_nl", "paper", "affine", 8, 1),
        ("nf4", "paper", "steps", 15, 15),
    ],
)
def test_planes_and_passes(name: str, config: str, kind: str, planes: int, passes: int) -> None:
    route = lower(TYPES[name], CONFIGS[config])
    assert (route.kind, route.planes, route.passes) == (kind, planes, passes)


def test_cycles_of_a_route() -> None:
    """On the paper's core a step has 4 weights, and a rescale round takes 16 beats."""
    int4 = lower(TYPES["int4"], PRESETS["paper"])  # blocks of 64: 16 steps of 4 planes
    assert int4.lookup_cycles == int4.cycles == 4 / 4
    nf4 = lower(TYPES["nf4"], PRESETS["paper"])  # 15 passes of 16 steps
    assert nf4.lookup_cycles == 15 / 4
    nvfp4 = lower(TYPES["nvfp4"], PRESETS["paper"])  # blocks of 16: 4 steps of 5 planes
    assert nvfp4.lookup_cycles == nvfp4.cycles == 5 / 4
    q4_1 = lower(TYPES["q4_1"], PRESETS["paper"])  # 8 steps of 4 planes hide two rounds of 16
    assert q4_1.cycles == 32 / 32
    assert str(int4) == "int4: affine, 4 planes in 1 passes, 1 cycles a weight, lossless"


def test_only_the_codes_that_occur() -> None:
    """Without code 3, tq2_0 is ternary, of one pass on a core of ternary digits."""
    whole = lower(TYPES["tq2_0"], PRESETS["ternary"])
    part = lower(TYPES["tq2_0"], PRESETS["ternary"], (0, 1, 2))
    assert (whole.planes, part.planes) == (2, 1) and part.kind == "ternary"
    check(part, (0, 1, 2))


@pytest.mark.parametrize("config", CONFIGS)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    levels=st.lists(EXACT_IN_FLOAT32, min_size=2, max_size=16)
    | st.lists(st.floats(-8, -0.125, width=16), min_size=2, max_size=16)
    | st.lists(st.sampled_from([-3.0, 0.0, 0.5, 3.0]), min_size=2, max_size=16)
    | st.lists(EXACT_IN_FLOAT32, min_size=1, max_size=8).map(lambda x: [*x, *(-v for v in x)])
)
def test_random_codebooks(config: str, levels: list[float]) -> None:
    """Of 1 to 4 bits: unordered, with duplicates, lopsided, negative only, symmetric."""
    check(lower(codebook(levels), CONFIGS[config]))


@pytest.mark.parametrize("config", CONFIGS)
@settings(max_examples=25, deadline=None, derandomize=True)
@given(levels=st.integers(1, 4).flatmap(
    lambda bits: st.lists(st.integers(-300, 300), min_size=1 << bits, max_size=1 << bits)
))  # fmt: skip
def test_random_integers(config: str, levels: list[int]) -> None:
    bits = (len(levels) - 1).bit_length()
    check(lower(DataType("whole", bits, np.array(levels).__getitem__), CONFIGS[config]))


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("level", [0.0, -2.0, 7.0, 0.375])
def test_a_single_level(config: str, level: float) -> None:
    check(lower(codebook([level] * 3), CONFIGS[config]))
    check(lower(DataType("one", 2, np.full(4, level).__getitem__), CONFIGS[config]))


@pytest.mark.parametrize("config", ["paper", "ternary"])
def test_a_codebook_of_256_levels(rng: np.random.Generator, config: str) -> None:
    route = lower(codebook(rng.normal(size=256).astype(np.float32)), CONFIGS[config])
    check(route)
    assert route.planes == 255


@pytest.mark.parametrize("config", CONFIGS)
def test_walsh_wins_where_codes_are_sums_of_their_bits(config: str) -> None:
    """Four odd weights, one a bit: a plane a bit, where steps would take 15."""
    weights = np.array([1.0, 3.0, 13.0, 1021.0])
    levels = ((np.arange(16)[:, None] >> np.arange(4) & 1) * 2 - 1) @ weights
    route = lower(DataType("sums", 4, levels.__getitem__, scale="fp16"), CONFIGS[config])
    check(route)
    assert (route.kind, route.planes) == ("walsh", 4)


def worst(route: Route) -> Fraction:
    levels = route.dtype.levels
    return max(abs(total(route, c) - Fraction(float(levels[c]))) for c in route.codes)


@pytest.mark.parametrize("config", ["paper", "ternary", "two planes"])
def test_the_nearest_says_how_far_it_is(rng: np.random.Generator, config: str) -> None:
    for trial in range(20):
        levels = rng.normal(size=16) * np.exp(rng.normal(size=16)) + 10 * (trial % 3 - 1)
        route = nearest(DataType("rough", 4, levels.__getitem__), CONFIGS[config])
        assert route.error == worst(route) > 0 and not route.lossless
        # The unit is below 2/255 of the span; low and a level are each within half of it.
        assert float(route.error) <= 2 / 255 * (levels.max() - levels.min())
        assert "error up to" in str(route)


def test_what_has_no_lossless_route_is_refused(rng: np.random.Generator) -> None:
    """FP64 levels times FP32 scales: more than two FP32 numbers hold."""
    levels = np.array([0.0, 1e-30, 1.0, 3.7])
    dtype = DataType("fine", 2, levels.__getitem__)
    route = lower(dtype, PRESETS["paper"])
    assert not route.lossless and route.error == worst(route)
    codes = np.resize(np.arange(4), (2, 8)).astype(np.uint8)
    fine = Tensor(dtype, codes, np.ones((2, 1), np.float32))
    message = (
        r"^type fine has no lossless route; the nearest is 8 planes with an error up to \S+ sc"
    )
    with pytest.raises(InputError, match=message):
        fine.weights(PRESETS["paper"])
