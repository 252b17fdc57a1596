"""Data types and their lowering: terms of the core against exact fractions of the definition."""

from __future__ import annotations

import doctest
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from gfloat import decode_float
from gfloat.formats import format_info_ocp_e2m1, format_info_ocp_e2m3, format_info_ocp_e3m2

from lutblas import types
from lutblas.lowering import lower, nearest
from lutblas.tensors import Tensor, convert, pad, product
from lutblas.tensors import slice as cut
from lutblas.types import TYPES, DataType, codebook
from lutcore.config import PRESETS, TensorCoreConfig
from lutcore.errors import InputError
from lutcore.formats import SCALES
from lutcore.layout import check_weights
from lutcore.numbers import rounded

CONFIGS = [PRESETS["paper"], PRESETS["ternary"], TensorCoreConfig(m=1, n=2, weight_bits=2)]


def tensor(rng: np.random.Generator, dtype: DataType) -> Tensor:
    """All codes of the type, two rows, with metadata of any value."""
    group = dtype.group or 16
    codes = np.resize(dtype.codes, (2, -(-len(dtype.codes) // group) * group))
    shape = (2, codes.shape[1] // group)

    def numbers(name: str | None) -> np.ndarray | None:
        if name is None:
            return None
        if name == "e8m0":
            return np.ldexp(1.0, rng.integers(-20, 20, shape)).astype(np.float32)
        fmt = SCALES[name]
        assert not isinstance(fmt, type(SCALES["e8m0"]))
        return rounded(rng.normal(size=shape), fmt).astype(np.float32)  # type: ignore[arg-type]

    zeros = rng.integers(0, 1 << dtype.bits, shape).astype(np.float64) if dtype.zero else None
    offsets = numbers(dtype.offset)
    return Tensor(dtype, codes.astype(np.uint8), numbers(dtype.scale), zeros, offsets, group)


def check(rng: np.random.Generator, dtype: DataType, config: TensorCoreConfig) -> None:
    t = tensor(rng, dtype)
    terms = check_weights(t.weights(config), config)
    assert t.scales is not None
    for n, k in np.ndindex(*t.codes.shape):
        block = k // t.blocks
        weight = Fraction(0)
        for term in terms:
            places = zip(term.plane_weights.tolist(), term.digits[:, n, k].tolist(), strict=True)
            planes = sum(place * digit for place, digit in places) - int(term.zeros[n, block])
            weight += Fraction(float(term.scales[n, block])) / 2 * planes
            if term.offsets is not None:
                weight += Fraction(float(term.offsets[n, block]))
        level, scale = float(dtype.levels[t.codes[n, k]]), t.scales[n, block]
        if dtype.rounded:
            expected = Fraction(float(np.float32(level) * scale))
        else:
            zero = Fraction(0) if t.zeros is None else Fraction(float(t.zeros[n, block]))
            expected = (Fraction(level) - zero) * Fraction(float(scale))
            if t.offsets is not None:
                expected += Fraction(float(t.offsets[n, block]))
        assert weight == expected, (n, k)


@pytest.mark.parametrize("config", CONFIGS, ids=["paper", "ternary", "two planes"])
@pytest.mark.parametrize("name", TYPES)
def test_every_code_is_exact(rng: np.random.Generator, name: str, config: TensorCoreConfig) -> None:
    assert lower(TYPES[name], config).lossless
    check(rng, TYPES[name], config)


@pytest.mark.parametrize("config", CONFIGS, ids=["paper", "ternary", "two planes"])
def test_random_codebooks_and_integers(rng: np.random.Generator, config: TensorCoreConfig) -> None:
    for trial in range(40):
        size = int(rng.integers(2, 17))
        levels = rng.normal(size=size).astype(np.float32)
        if trial % 3 == 0:
            levels = np.concatenate([levels, -levels])[:16]
        if trial % 5 == 0:
            levels[0] = 0
        if trial % 7 == 0:
            levels[-1] = levels[0]
        check(rng, codebook(levels), config)
        bits = (size - 1).bit_length()
        whole = np.resize(rng.integers(-300, 300, size), 1 << bits)
        scale = "fp16" if trial % 2 else "fp32"
        check(rng, DataType("whole", bits, whole.__getitem__, scale=scale), config)


@pytest.mark.parametrize(
    ("name", "preset", "planes", "passes"),
    [
        ("ternary", "paper", 2, 1),
        ("ternary", "ternary", 1, 1),
        ("int4", "paper", 4, 1),
        ("q4_1", "paper", 4, 1),
        ("mxfp4", "paper", 5, 1),
        ("fp6_e3m2", "paper", 10, 2),
        ("iq4_nl", "paper", 8, 1),
        ("nf4", "paper", 15, 15),
    ],
)
def test_planes_and_passes(name: str, preset: str, planes: int, passes: int) -> None:
    route = lower(TYPES[name], PRESETS[preset])
    assert (route.planes, route.passes) == (planes, passes)


def test_a_sum_of_bits_has_as_many_planes() -> None:
    """A codebook that is a weighted sum of its bits is a Walsh expansion of few terms."""
    weights = np.array([1.0, 2.75, 7.125, 19.0])
    levels = (np.arange(16)[:, None] >> np.arange(4) & 1) @ weights
    route = lower(DataType("sums", 4, levels.__getitem__), PRESETS["paper"])
    assert route.lossless and route.planes <= 8


def test_the_nearest_says_how_far_it_is() -> None:
    levels = np.array([0.0, 1e-30, 1.0, 3.7])
    route = nearest(DataType("wide", 2, levels.__getitem__), PRESETS["paper"])
    worst = max(abs(route.value(code) - Fraction(level)) for code, level in enumerate(levels))
    assert not route.lossless and route.error == worst
    assert float(route.error) < 3.7 / 255


def test_ocp_levels() -> None:
    for name, dtype, info in (
        ("fp4_e2m1", ml_dtypes.float4_e2m1fn, format_info_ocp_e2m1),
        ("fp6_e2m3", ml_dtypes.float6_e2m3fn, format_info_ocp_e2m3),
        ("fp6_e3m2", ml_dtypes.float6_e3m2fn, format_info_ocp_e3m2),
    ):
        codes = np.arange(1 << TYPES[name].bits, dtype=np.uint8)
        assert np.array_equal(TYPES[name].levels, codes.view(dtype).astype(np.float64))
        theirs = [decode_float(info, int(code)).fval for code in codes]
        assert np.array_equal(TYPES[name].levels, theirs)
    for name, dtype in (
        ("fp8_e4m3", ml_dtypes.float8_e4m3fn),
        ("fp8_e5m2", ml_dtypes.float8_e5m2),
    ):
        codes = TYPES[name].codes
        theirs = codes.view(dtype).astype(np.float64)
        assert np.array_equal(TYPES[name].levels[codes], theirs)
        assert len(codes) == np.isfinite(np.arange(256, dtype=np.uint8).view(dtype)).sum()


def test_the_type_of_the_guide_works() -> None:
    assert doctest.testmod(types).failed == 0 < doctest.testmod(types).attempted


CALLS: list[int] = []


def changing(codes: np.ndarray) -> np.ndarray:
    CALLS.append(1)
    return codes * 1.0 + len(CALLS)


@pytest.mark.parametrize(
    ("decode", "message"),
    [
        (changing, "decode must be a function of the code"),
        (
            lambda codes: np.cumsum(codes * 1.0).reshape(codes.shape),
            "decode must be a function of the code",
        ),
        (lambda codes: codes / 0.0, r"code 0 decodes to nan; a finite one would do"),
        (lambda codes: codes[:1] * 1.0, "decode must give real numbers of shape"),
        (lambda codes: 1 / 0, "decode raises ZeroDivisionError"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_types_that_cannot_be(decode: types.Decode, message: str) -> None:
    with pytest.raises(InputError, match=f"^type mine: {message}"):
        DataType("mine", 2, decode)


def test_codebooks_that_cannot_be() -> None:
    with pytest.raises(InputError, match="code 1 decodes to nan"):
        codebook([0.0, np.nan])
    with pytest.raises(InputError, match="2 to 256 real numbers"):
        codebook([1.0])
    with pytest.raises(InputError, match="which no fp32 is"):
        codebook([0.1, 1.0])


def test_blocks_have_to_divide(rng: np.random.Generator) -> None:
    codes = rng.integers(0, 16, (2, 40)).astype(np.uint8)
    with pytest.raises(InputError, match="K must be a multiple of 32 for mxfp4, not 40; 64 would"):
        Tensor(TYPES["mxfp4"], codes, np.ones((2, 2), np.float32))
    padded = pad(TYPES["mxfp4"], codes)
    assert padded.shape == (2, 64) and not TYPES["mxfp4"].levels[padded[:, 40:]].any()


def test_slices_conversions_and_their_errors(rng: np.random.Generator) -> None:
    codes = rng.integers(0, 16, (3, 64)).astype(np.uint8)
    source = Tensor(TYPES["mxfp4"], codes, np.ldexp(np.float32(1), rng.integers(-4, 4, (3, 2))))
    part = cut(source, (1, 3), (32, 64))
    assert np.array_equal(part.real(), source.real()[1:3, 32:])
    with pytest.raises(InputError, match="columns must start and stop at multiples"):
        cut(source, columns=(16, 64))
    wider = convert(source, TYPES["mxfp8_e4m3"])
    assert wider.error == 0 and np.array_equal(wider.tensor.real(), source.real())
    with pytest.raises(InputError, match="has no .* of mxfp4"):
        convert(source, TYPES["int2"])
    assert convert(source, TYPES["int2"], lossy=True).error > 0


def test_the_tensor_scale_rounds_once_more(rng: np.random.Generator) -> None:
    codes = rng.integers(0, 16, (4, 32)).astype(np.uint8)
    scales = np.full((4, 2), 0.5, np.float32)
    values = rng.integers(-128, 128, (3, 32)).astype(np.int8)
    plain = product(values, Tensor(TYPES["nvfp4"], codes, scales), PRESETS["paper"]).out
    factor = float(np.float32(0.1))
    scaled = Tensor(TYPES["nvfp4"], codes, scales, tensor_scale=factor)
    out = product(values, scaled, PRESETS["paper"]).out
    assert np.array_equal(out, (plain.astype(np.float64) * factor).astype(np.float32))


def test_an_order_permutes_the_activations(rng: np.random.Generator) -> None:
    codes = rng.integers(0, 16, (4, 32)).astype(np.uint8)
    order = rng.permutation(32)
    values = rng.integers(-128, 128, (3, 32)).astype(np.int8)
    ordered = Tensor(TYPES["int4"], codes, np.ones((4, 1), np.float32), order=order)
    out = product(values, ordered, PRESETS["paper"]).out
    assert np.array_equal(out, values.astype(np.float64) @ ordered.real().T)
