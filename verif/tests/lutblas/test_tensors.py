"""Tensors of any type: products against exact rationals of their levels, and transformations."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lutblas import types
from lutblas.tensors import Tensor, convert, pad, product
from lutblas.tensors import slice as cut
from lutblas.types import NF4, TYPES, DataType, codebook
from lutcore.config import PRESETS, TensorCoreConfig
from lutcore.errors import InputError
from lutcore.formats import SCALES
from lutcore.layout import check_weights
from lutcore.numbers import rounded
from lutverif import golden, oracle

PAPER, TINY = PRESETS["paper"], PRESETS["tiny"]
CONFIGS = {name: PRESETS[name] for name in ("paper", "tiny", "ternary")} | {
    "two planes": TensorCoreConfig(m=1, n=2, weight_bits=2)
}


def f32(values: Any) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def numbers(rng: np.random.Generator, name: str | None, shape: Any) -> NDArray[np.float32] | None:
    """Numbers of a scale format, either sign, one of them its smallest."""
    if name is None:
        return None
    if name == "e8m0":
        return np.ldexp(1.0, rng.integers(-20, 20, shape)).astype(np.float32)
    values = rounded(rng.normal(size=shape), SCALES[name])  # type: ignore[arg-type]
    if name != "fp32":
        values[0, 0] = np.ldexp(1.0, SCALES[name].unit_exponent)  # type: ignore[union-attr]
    return values.astype(np.float32)


def tensor(rng: np.random.Generator, dtype: DataType) -> Tensor:
    """All codes of the type, two rows, with metadata of any value."""
    group = dtype.group or 16
    codes = np.resize(dtype.codes, (2, -(-len(dtype.codes) // group) * group)).astype(np.uint8)
    shape = (2, codes.shape[1] // group)
    zeros = rng.integers(0, 1 << dtype.bits, shape).astype(np.float64) if dtype.zero else None
    scales, offsets = numbers(rng, dtype.scale, shape), numbers(rng, dtype.offset, shape)
    return Tensor(dtype, codes, scales, zeros, offsets, group)


def rn32(value: Fraction) -> Fraction:
    rounded_value = oracle.decode(oracle.rn(value, "fp32"), "fp32")
    assert rounded_value is not None
    return rounded_value


def defined(t: Tensor, n: int, k: int) -> Fraction:
    """The weight as the type defines it."""
    assert t.scales is not None
    block = k // t.blocks
    scale = Fraction(float(t.scales[n, block]))
    value = Fraction(float(t.dtype.levels[t.codes[n, k]]))
    if t.zeros is not None:
        value -= Fraction(float(t.zeros[n, block]))
    value = rn32(value * scale) if t.dtype.rounded else value * scale
    return value if t.offsets is None else value + Fraction(float(t.offsets[n, block]))


def check(t: Tensor, config: TensorCoreConfig) -> None:
    """The terms that the core gets are the weights exactly."""
    terms = check_weights(t.weights(config), config)
    for n, k in np.ndindex(*t.codes.shape):
        block, weight = k // t.blocks, Fraction(0)
        for term in terms:
            places = zip(term.plane_weights.tolist(), term.digits[:, n, k].tolist(), strict=True)
            planes = sum(place * digit for place, digit in places) - int(term.zeros[n, block])
            weight += Fraction(float(term.scales[n, block])) / 2 * planes
            if term.offsets is not None:
                weight += Fraction(float(term.offsets[n, block]))
        assert weight == defined(t, n, k), (n, k)


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("name", TYPES)
def test_every_code_is_exact(rng: np.random.Generator, name: str, config: str) -> None:
    check(tensor(rng, TYPES[name]), CONFIGS[config])


@pytest.mark.parametrize("config", CONFIGS)
def test_random_codebooks_and_integers(rng: np.random.Generator, config: str) -> None:
    for trial in range(25):
        size = int(rng.integers(2, 17))
        levels = rng.normal(size=size).astype(np.float32)
        if trial % 3 == 0:
            levels = np.concatenate([levels, -levels])[:16]
        if trial % 5 == 0:
            levels[0] = 0
        if trial % 7 == 0:
            levels[-1] = levels[0]
        check(tensor(rng, codebook(levels)), CONFIGS[config])
        bits = (size - 1).bit_length()
        whole = np.resize(rng.integers(-300, 300, size), 1 << bits)
        scale = "fp16" if trial % 2 else "fp32"
        check(tensor(rng, DataType("whole", bits, whole.__getitem__, scale=scale)), CONFIGS[config])


@pytest.mark.parametrize("weight_bits", [1, 2, 3, 8])
@pytest.mark.parametrize("step", [1, 2, 0.5, 3])
def test_zero_points_of_levels_of_any_step_on_cores_of_few_planes(
    weight_bits: int, step: float
) -> None:
    stepped = DataType("stepped", 4, lambda code: step * code.astype(float) - 5 * step, zero=True)
    codes = np.arange(32, dtype=np.uint8).reshape(2, 16) % 16
    zeros = step * np.array([[3, -2.5], [0, 7]])
    t = Tensor(stepped, codes, f32([[3, 0.5], [1, 7]]), zeros, group=8)
    check(t, replace(PAPER, weight_bits=weight_bits))


def test_zero_points_that_no_integer_holds() -> None:
    stepped = DataType("stepped", 4, lambda code: 3.0 * code, zero=True)
    codes = np.arange(16, dtype=np.uint8).reshape(1, 16)
    t = Tensor(stepped, codes, f32([[3]]), np.array([[1.0]]))
    with pytest.raises(InputError, match=r"^zeros\[0, 0\] is 1, but zero points of stepped must"):
        t.weights(replace(PAPER, weight_bits=2))


def test_zero_points_of_halves_and_beyond_the_codes() -> None:
    codes = np.arange(16, dtype=np.uint8)[None]
    for zero in (-20.0, 7.5, 200.0):
        check(Tensor(TYPES["uint4"], codes, f32([[3]]), np.array([[zero]])), PAPER)
    check(Tensor(TYPES["uint4"], codes, f32([[3]])), PAPER)


def codebook_gemm(
    activations: NDArray[np.int8], t: Tensor, output: str, block: int
) -> list[list[int]]:
    """[M][N] codes: integers times NF4, with the roundings of the specification and no others.

    A segment has a pass for each step between neighbouring levels times the scale: those FP32
    numbers differ by a real number, of which a second pass adds what FP32 does not hold. A step of
    (high - low)/2 is taken or left: (+1 or -1) and 1 more or less, so that the level 0 stays 0.
    """
    assert t.scales is not None
    rows: list[list[int]] = []
    for row in activations:
        out: list[int] = []
        for n, codes in enumerate(t.codes):
            rounds: list[Fraction] = []
            for group in range(0, len(codes), t.blocks):
                values = [rn32(Fraction(level) * Fraction(float(t.scales[n, group // t.blocks])))
                          for level in NF4]  # fmt: skip
                for start in range(group, min(group + t.blocks, len(codes)), block):
                    inside = range(start, min(start + block, group + t.blocks, len(codes)))
                    for step in range(15):
                        zero = -1 if step >= NF4.index(0.0) else 1
                        lane = sum(int(row[k]) * ((1 if codes[k] > step else -1) - zero)
                                   for k in inside)  # fmt: skip
                        difference = values[step + 1] - values[step]
                        high = rn32(difference)
                        rounds += [lane * high / 2, lane * (difference - high) / 2]
            acc = Fraction(0)
            for term in rounds[:-1]:
                acc = rn32(acc + term)
            # The last difference is a number of FP32, or else the second pass is the last.
            out.append(oracle.rn(acc + rounds[-1], output))
        rows.append(out)
    return rows


def bits(array: NDArray[Any], output: str) -> NDArray[np.integer[Any]]:
    if output == "fp16":
        assert array.dtype == np.float16
        return array.view(np.uint16)
    codes = array.view(np.uint32)
    if output == "bf16":
        assert not (codes & 0xFFFF).any()
        codes = codes >> 16
    return codes


@pytest.mark.parametrize("preset", ["paper", "tiny"])
@pytest.mark.parametrize("group", [24, 40, 16])
def test_nf4_against_exact_rationals(rng: np.random.Generator, preset: str, group: int) -> None:
    codes = rng.integers(0, 16, (5, 80)).astype(np.uint8)
    scales = rng.normal(size=(5, -(-80 // group))).astype(np.float32)
    nf4 = Tensor(TYPES["nf4"], codes, scales, group=group)
    values = rng.integers(-128, 128, (3, 80)).astype(np.int8)
    out = product(values, nf4, PRESETS[preset]).out
    expected = codebook_gemm(values, nf4, "fp32", PRESETS[preset].block)
    assert np.array_equal(bits(out, "fp32"), expected)


@pytest.mark.parametrize("output", ["fp16", "bf16"])
@pytest.mark.parametrize("name", ["q4_1", "nvfp4", "int4"])
def test_outputs_of_half_precision(rng: np.random.Generator, name: str, output: str) -> None:
    """One segment: the exact product rounded once, not by way of FP32."""
    t = tensor(rng, TYPES[name])
    t = Tensor(t.dtype, t.codes, t.scales, t.zeros, None if t.offsets is None else 0 * t.offsets)
    t = cut(t, columns=(0, t.blocks))
    values = rng.integers(-128, 128, (8, t.blocks)).astype(np.int8)
    out = product(values, t, PAPER, output=output).out
    for m, n in np.ndindex(*out.shape):
        exact = sum(int(values[m, k]) * defined(t, n, k) for k in range(t.blocks))
        assert bits(out, output)[m, n] == oracle.rn(Fraction(exact), output)


@pytest.mark.parametrize("output", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize("factor", [0.1, -3.3e-6, 2e35, 1e-45])
def test_the_tensor_scale_rounds_once_more(
    rng: np.random.Generator, output: str, factor: float
) -> None:
    factor = float(np.float32(factor))
    codes = rng.integers(0, 16, (4, 32)).astype(np.uint8)
    codes[0] = 0
    scales = numbers(rng, "e4m3", (4, 2))
    values = rng.integers(-128, 128, (3, 32)).astype(np.int8)
    plain = product(values, Tensor(TYPES["nvfp4"], codes, scales), PAPER).out
    scaled = Tensor(TYPES["nvfp4"], codes, scales, tensor_scale=factor)
    out = product(values, scaled, PAPER, output=output).out
    exact = [[Fraction(float(x)) * Fraction(factor) for x in row] for row in plain]
    assert bits(out, output).tolist() == [[oracle.rn(x, output) for x in row] for row in exact]
    assert np.array_equal(scaled.real(), Tensor(TYPES["nvfp4"], codes, scales).real() * factor)


def test_the_tensor_scale_does_not_round_to_fp32_before() -> None:
    """Products next to the middle between two numbers of bf16."""
    middle, above = 1 + 2.0**-8, 0
    codes = np.array([[2] + [0] * 15], np.uint8)  # 1 and zeros
    for value in range(1, 128, 2):
        factor = float(np.float32(middle / value))
        t = Tensor(TYPES["nvfp4"], codes, np.ones((1, 1), np.float32), tensor_scale=factor)
        out = product(np.full((1, 16), value, np.int8), t, PAPER, output="bf16").out
        exact = value * Fraction(factor)
        assert bits(out, "bf16")[0, 0] == oracle.rn(exact, "bf16")
        above += 0 < exact - Fraction(middle) < Fraction(1, 1 << 24)
    assert above


def test_tensor_scales_that_cannot_be(rng: np.random.Generator) -> None:
    codes = rng.integers(0, 16, (4, 32)).astype(np.uint8)
    scaled = Tensor(TYPES["nvfp4"], codes, np.ones((4, 2), np.float32), tensor_scale=0.5)
    values = np.ones((1, 32), np.int8)
    with pytest.raises(InputError, match=r"^output int32 has no scales, but the weights have a te"):
        product(values, scaled, PAPER, output="int32")
    with pytest.raises(InputError, match=r"^output is fp16, but the configuration 'wide' is built"):
        product(values, scaled, PRESETS["wide"], output="fp16")
    for value in (np.nan, np.inf, 0.1):
        with pytest.raises(InputError, match=f"^tensor_scale must be a finite fp32, not {value}$"):
            Tensor(TYPES["nvfp4"], codes, np.ones((4, 2), np.float32), tensor_scale=value)
    with pytest.raises(InputError, match=r"^tensor_scale does not fit mxfp4, which has none$"):
        Tensor(TYPES["mxfp4"], codes, np.ones((4, 1), np.float32), tensor_scale=0.5)


def test_an_order_permutes_the_activations(rng: np.random.Generator) -> None:
    codes = rng.integers(0, 16, (4, 32)).astype(np.uint8)
    scales = rng.normal(size=(4, 4)).astype(np.float32)
    order = rng.permutation(32)
    values = rng.normal(size=(3, 32)).astype(np.float16)
    ordered = Tensor(TYPES["nf4"], codes, scales, group=8, order=order)
    plain = Tensor(TYPES["nf4"], codes, scales, group=8)
    by_hand = np.stack([values[:, at] for at in order], axis=1)
    out = product(values, ordered, PAPER).out
    assert np.array_equal(out, product(by_hand, plain, PAPER).out)
    assert np.array_equal(ordered.real()[:, order], plain.real())
    # Nothing is rounded here, so that the order must not show.
    whole = Tensor(TYPES["int4"], codes, np.ones((4, 1), np.float32), order=order)
    values = rng.integers(-128, 128, (3, 32)).astype(np.int8)
    assert np.array_equal(product(values, whole, PAPER).out, values.astype(float) @ whole.real().T)
    for bad in (order[:-1], np.zeros(32, np.int64), order + 1):
        with pytest.raises(InputError, match=r"^order must have each of 0..31 once$"):
            Tensor(TYPES["int4"], codes, np.ones((4, 1), np.float32), order=bad)
    with pytest.raises(InputError, match=r"^tensors with an order cannot be sliced$"):
        cut(ordered, rows=(0, 1))


@pytest.mark.parametrize("name", ["q4_1", "nf4", "nvfp4", "mxfp4"])
def test_golden_and_rtl_agree(rng: np.random.Generator, name: str) -> None:
    t = tensor(rng, TYPES[name])
    if name == "nvfp4":
        t = Tensor(t.dtype, t.codes, t.scales, tensor_scale=0.3125)
    values = rng.integers(-128, 128, (3, t.codes.shape[1])).astype(np.int8)
    for kind, a in (("int8", values), ("fp16", (values / 7).astype(np.float16))):
        for output in ("fp32", "bf16"):
            want = product(a, t, TINY, "golden", output, kind)
            got = product(a, t, TINY, "rtl", output, kind)
            assert want.out.any() and want.cycles is None and (got.cycles or 0) > 0
            assert np.array_equal(bits(want.out, output), bits(got.out, output))


def test_int32_is_in_half_units_of_the_route(rng: np.random.Generator) -> None:
    t = tensor(rng, TYPES["q4_0"])
    values = rng.integers(-128, 128, (3, t.codes.shape[1])).astype(np.int8)
    plain = values.astype(np.int64) @ (t.codes.astype(np.int64) - 8).T
    assert np.array_equal(product(values, t, PAPER, output="int32").out, 2 * plain)


BAD: dict[str, tuple[str, dict[str, Any], str]] = {
    "blocks": (
        "mxfp4",
        {"codes": np.zeros((2, 40), np.uint8)},
        "K must be a multiple of 32 for mxfp4, not 40; 64 would do",
    ),
    "own group": ("mxfp4", {"group": 16}, "group must be 32 for mxfp4, not 16"),
    "group": ("nf4", {"group": 0}, "group must be an integer of 1 or more, not 0"),
    "group real": ("nf4", {"group": 8.0}, "group must be an integer of 1 or more, not 8.0"),
    "no scales": ("mxfp4", {"scales": None}, "scales are needed for mxfp4"),
    "no offsets": ("q4_1", {}, "offsets are needed for q4_1"),
    "offsets": (
        "q4_0",
        {"offsets": np.ones((2, 1), np.float32)},
        "offsets do not fit q4_0, which has none",
    ),
    "zeros": (
        "q4_0",
        {"zeros": np.ones((2, 1))},
        "zeros do not fit q4_0, which has no zero points",
    ),
    "zeros shape": (
        "uint4",
        {"zeros": np.ones((2, 2))},
        "zeros must have shape (2, 1), not (2, 2)",
    ),
    "signed": (
        "int4",
        {"codes": np.zeros((2, 32), np.int8)},
        "codes must be unsigned integers, not int8",
    ),
    "too large": (
        "int4",
        {"codes": np.full((2, 32), 16, np.uint8)},
        "codes must be below 2^4 = 16 for int4, but codes[0, 0] is 16",
    ),
    "wide codes": (
        "int8",
        {"codes": np.full((2, 32), 256, np.uint16)},
        "codes must be below 2^8 = 256 for int8, but codes[0, 0] is 256",
    ),
    "reserved": (
        "fp8_e4m3",
        {"codes": np.full((2, 32), 0x7F, np.uint8)},
        "codes[0, 0] is 127, which no fp8_e4m3 is",
    ),
    "scale type": (
        "int4",
        {"scales": np.ones((2, 1), np.int64)},
        "scales must be real numbers, not int64",
    ),
    "scale shape": (
        "int4",
        {"scales": np.ones((2, 2))},
        "scales must have shape (2, 1) for 2 columns and 32 weights in groups of 32, not (2, 2)",
    ),
    "scale NaN": (
        "int4",
        {"scales": np.full((2, 1), np.nan)},
        "scales must be finite, but scales[0, 0] is nan",
    ),
    "scale no fp16": (
        "q4_0",
        {"scales": np.full((2, 1), 1e-9)},
        "scales must be fp16 for q4_0, but scales[0, 0] is 1e-09",
    ),
    "scale 0": (
        "mxfp4",
        {"scales": np.zeros((2, 1))},
        "scales must be e8m0 for mxfp4, but scales[0, 0] is 0.0",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_tensors_that_cannot_be(case: str) -> None:
    name, changed, message = BAD[case]
    good = {"codes": np.zeros((2, 32), np.uint8), "scales": np.ones((2, 1), np.float32)}
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        Tensor(TYPES[name], **(good | changed))


def test_activations_of_another_k(rng: np.random.Generator) -> None:
    message = "activations must have K = 32 columns to match the weights, not shape (3, 31)"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        product(np.zeros((3, 31), np.int8), tensor(rng, TYPES["mxfp4"]), PAPER)


def test_scales_that_fp32_cannot_hold() -> None:
    """Differences of levels beyond FP32, and products below it."""
    codes = np.arange(2, dtype=np.uint8)[None]
    large = Tensor(codebook(f32([-3e38, 3e38])), codes, np.ones((1, 1), np.float32))
    with pytest.raises(InputError, match=r"^scales\[0, 0\] = 1 makes differences of code"):
        large.weights(PAPER)
    tiny = Tensor(TYPES["mxint8"], np.zeros((1, 32), np.uint8), np.ldexp(np.float32(1), [[-127]]))
    check(tiny, PAPER)  # 2^-133 is a subnormal number
    smallest = f32([[1e-45]])
    fine = DataType("fine", 1, lambda codes: codes * 0.375 + 1)
    with pytest.raises(InputError, match=r"^scales\[0, 0\] = 1.4013e-45 times 0.125 is no num"):
        Tensor(fine, codes, smallest).weights(PAPER)


def test_slices(rng: np.random.Generator) -> None:
    for name in ("mxfp4", "q4_1", "uint4", "nf4"):
        whole = tensor(rng, TYPES[name])
        whole = Tensor(
            whole.dtype,
            np.tile(whole.codes, 4),
            np.tile(whole.scales, 4),  # type: ignore[arg-type]
            None if whole.zeros is None else np.tile(whole.zeros, 4),
            None if whole.offsets is None else np.tile(whole.offsets, 4),
            whole.group,
        )
        block, k = whole.blocks, whole.codes.shape[1]
        part = cut(whole, (1, 2), (block, k))
        assert np.array_equal(part.real(), whole.real()[1:, block:])
        assert np.array_equal(cut(whole).real(), whole.real())
        out = product(np.ones((1, k), np.int8), whole, PAPER).out
        only = product(np.ones((1, k), np.int8), cut(whole, (1, 2)), PAPER).out
        assert np.array_equal(out[:, 1:], only)
        message = f"columns must start and stop at multiples of the group {block}, not at 1"
        with pytest.raises(InputError, match=f"^{message}$"):
            cut(whole, columns=(1, k))
        for rows in ((0, 3), (1, 1), (-1, 1)):
            message = f"rows must be within 0..2, not {rows[0]}..{rows[1]}"
            with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
                cut(whole, rows)


def test_a_slice_of_a_short_block() -> None:
    t = Tensor(TYPES["nf4"], np.zeros((1, 20), np.uint8), f32([[1, 2, 3]]), group=8)
    assert cut(t, columns=(16, 20)).real().tolist() == [[-3] * 4]


@pytest.mark.parametrize("name", [name for name in TYPES if TYPES[name].group or name == "nf4"])
def test_padding_is_next_to_nothing(rng: np.random.Generator, name: str) -> None:
    dtype = TYPES[name]
    block = dtype.group or 32
    codes = rng.choice(dtype.codes, (2, block + 5))
    padded = pad(dtype, codes, None if dtype.group else block)
    assert padded.shape == (2, 2 * block) and np.array_equal(padded[:, : block + 5], codes)
    least = np.abs(dtype.levels[dtype.codes]).min()
    assert (np.abs(dtype.levels[padded[:, block + 5 :]]) == least).all()
    assert np.array_equal(pad(dtype, padded, block), padded)


def test_conversions_without_loss(rng: np.random.Generator) -> None:
    codes = rng.integers(0, 16, (3, 64)).astype(np.uint8)
    source = Tensor(TYPES["mxfp4"], codes, np.ldexp(np.float32(1), rng.integers(-4, 4, (3, 2))))
    for name in ("mxfp8_e4m3", "mxfp6_e2m3", "mxfp6_e3m2", "fp4_e2m1"):
        found = convert(source, TYPES[name])
        assert found.error == 0 and np.array_equal(found.tensor.real(), source.real())
    q4_0 = tensor(rng, TYPES["q4_0"])
    to_uint = convert(q4_0, TYPES["uint4"]).tensor
    assert to_uint.zeros is not None and (to_uint.zeros == 8).all()
    assert np.array_equal(to_uint.real(), q4_0.real())
    assert np.array_equal(convert(to_uint, TYPES["q4_0"]).tensor.codes, q4_0.codes)
    # One block of source scales spreads over several.
    wide = Tensor(TYPES["int4"], codes, f32([[1], [2], [4]]))
    spread = convert(wide, TYPES["q4_0"]).tensor
    assert spread.blocks == 32 and np.array_equal(spread.real(), wide.real())


@pytest.mark.parametrize("target", ["int2", "int3", "nf4", "ternary", "fp4_e2m1", "int8", "uint2"])
@pytest.mark.parametrize("name", ["mxfp4", "int4", "nf4", "uint4", "fp8_e4m3"])
def test_the_error_of_a_conversion_is_true(
    rng: np.random.Generator, name: str, target: str
) -> None:
    source = tensor(rng, TYPES[name])
    found = convert(source, TYPES[target], lossy=True)
    assert source.scales is not None

    def levels(t: Tensor) -> NDArray[np.float64]:
        zeros = 0 if t.zeros is None else np.repeat(t.zeros, t.blocks, axis=1)
        return t.dtype.levels[t.codes] - zeros

    difference = np.abs(levels(found.tensor) - levels(source))
    assert found.error == difference.max()
    # No other code is nearer.
    zeros = found.tensor.zeros
    shift = np.zeros_like(difference) if zeros is None else np.repeat(zeros, source.blocks, axis=1)
    every = TYPES[target].levels[TYPES[target].codes]
    nearest = np.abs(every - (levels(source) + shift)[..., None]).min(axis=-1)
    assert np.array_equal(difference, nearest)
    if found.error:
        with pytest.raises(InputError, match=f"^{target} has no \\S+ of {name}, which is codes"):
            convert(source, TYPES[target])


def test_conversions_that_cannot_be(rng: np.random.Generator) -> None:
    nvfp4 = Tensor(TYPES["nvfp4"], np.zeros((1, 32), np.uint8), f32([[1, 2]]))
    with pytest.raises(InputError, match=r"^group must be a multiple of 32 for mxfp4, not 16$"):
        convert(nvfp4, TYPES["mxfp4"])
    bare = DataType("bare", 4, TYPES["fp4_e2m1"].decode, scale=None)
    with pytest.raises(InputError, match=r"^scales do not fit bare, which has none$"):
        convert(nvfp4, bare)
    q4_1 = tensor(rng, TYPES["q4_1"])
    with pytest.raises(InputError, match=r"^offsets do not fit int8, which has none$"):
        convert(q4_1, TYPES["int8"])


def test_a_mapped_type_multiplies(rng: np.random.Generator) -> None:
    squares = types.map(TYPES["int4"], np.square, "squares")
    codes = rng.integers(0, 16, (3, 32)).astype(np.uint8)
    values = rng.integers(-128, 128, (2, 32)).astype(np.int8)
    ours = product(values, Tensor(squares, codes, np.ones((3, 1), np.float32)), PAPER).out
    numbers_ = TYPES["int4"].levels[codes] ** 2
    assert np.array_equal(ours, values.astype(np.float64) @ numbers_.T)


def test_a_type_without_scales(rng: np.random.Generator) -> None:
    bare = DataType("bare", 2, np.array([-5, 0, 1, 9]).__getitem__, scale=None)
    codes = rng.integers(0, 4, (3, 32)).astype(np.uint8)
    t = Tensor(bare, codes)
    check(t, PAPER)
    assert np.array_equal(cut(t, (0, 2)).codes, codes[:2])
    out = golden.core(np.ones((1, 32), np.int8), t.weights(PAPER), PAPER)
    assert np.array_equal(out, t.real().sum(axis=1)[None])
