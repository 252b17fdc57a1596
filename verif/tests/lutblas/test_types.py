"""Data types: what their codes stand for, by other implementations, and what is refused."""

from __future__ import annotations

import doctest
import re
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import gguf
import ml_dtypes
import numpy as np
import pytest
from gfloat import decode_float
from gfloat import formats as gfloat_formats

from lutblas import types
from lutblas.types import IQ4_NL, NF4, TYPES, DataType, codebook, named
from lutcore.errors import InputError
from lutcore.formats import SCALES
from lutcore.numbers import decode as decode_format

OCP = {
    "fp4_e2m1": (ml_dtypes.float4_e2m1fn, gfloat_formats.format_info_ocp_e2m1),
    "fp6_e2m3": (ml_dtypes.float6_e2m3fn, gfloat_formats.format_info_ocp_e2m3),
    "fp6_e3m2": (ml_dtypes.float6_e3m2fn, gfloat_formats.format_info_ocp_e3m2),
    "fp8_e4m3": (ml_dtypes.float8_e4m3fn, gfloat_formats.format_info_ocp_e4m3),
    "fp8_e5m2": (ml_dtypes.float8_e5m2, gfloat_formats.format_info_ocp_e5m2),
}
MX = {
    "mxfp4": "fp4_e2m1",
    "mxfp6_e2m3": "fp6_e2m3",
    "mxfp6_e3m2": "fp6_e3m2",
    "mxfp8_e4m3": "fp8_e4m3",
    "mxfp8_e5m2": "fp8_e5m2",
    "nvfp4": "fp4_e2m1",
}


@pytest.mark.parametrize("name", [*OCP, *MX])
def test_ocp_elements(name: str) -> None:
    """Every code; those of infinities and NaN, and no others, are reserved."""
    dtype, info = OCP[MX.get(name, name)]
    codes = np.arange(1 << TYPES[name].bits, dtype=np.uint8)
    theirs = codes.view(dtype).astype(np.float64)
    assert np.array_equal(theirs, [decode_float(info, int(c)).fval for c in codes], equal_nan=True)
    theirs[~np.isfinite(theirs)] = np.nan
    assert np.array_equal(TYPES[name].levels, theirs, equal_nan=True)
    assert np.array_equal(TYPES[name].codes, codes[np.isfinite(theirs)])


def test_mxint8() -> None:
    info = gfloat_formats.format_info_ocp_int8
    theirs = [decode_float(info, code).fval for code in range(256)]
    assert np.array_equal(TYPES["mxint8"].levels, theirs)


@pytest.mark.parametrize(
    ("name", "dtype", "info"),
    [
        ("e8m0", ml_dtypes.float8_e8m0fnu, gfloat_formats.format_info_ocp_e8m0),
        ("e4m3", ml_dtypes.float8_e4m3fn, gfloat_formats.format_info_ocp_e4m3),
    ],
)
def test_block_scales(name: str, dtype: Any, info: Any) -> None:
    codes = np.arange(256, dtype=np.uint8)
    ours = decode_format(codes, SCALES[name])
    assert np.array_equal(ours, codes.view(dtype).astype(np.float64), equal_nan=True)
    assert np.array_equal(ours, [decode_float(info, int(c)).fval for c in codes], equal_nan=True)


def test_integers() -> None:
    for bits in range(1, 9):
        assert TYPES[f"uint{bits}"].levels.tolist() == list(range(1 << bits))
    for bits in range(2, 9):
        half = 1 << (bits - 1)
        assert TYPES[f"int{bits}"].levels.tolist() == [*range(half), *range(-half, 0)]
    assert TYPES["int1"].levels.tolist() == [-1, 1]
    assert TYPES["ternary"].levels[:3].tolist() == [-1, 0, 1] and TYPES["ternary"].reserved == (3,)


def test_nf4_is_made_of_normal_quantiles() -> None:
    """QLoRA, appendix E, as bitsandbytes computes it: 8 steps above zero, 7 below, largest 1."""
    offset, quantile = 0.9677083, NormalDist().inv_cdf
    above = [quantile(p) for p in np.linspace(offset, 0.5, 9)[:-1]]
    below = [-quantile(p) for p in np.linspace(offset, 0.5, 8)[:-1]]
    levels = np.array(sorted([*above, 0.0, *below])) / max(above)
    # The published levels come of single precision.
    assert np.abs(levels - NF4).max() < 1e-6
    assert np.array_equal(np.array(NF4, np.float32), NF4) and TYPES["nf4"].levels.tolist() == list(
        NF4
    )


def test_iq4_nl_is_that_of_gguf() -> None:
    assert tuple(gguf.quants.IQ4_NL.kvalues) == IQ4_NL
    assert TYPES["iq4_nl"].levels.tolist() == list(IQ4_NL)


@pytest.mark.parametrize(
    "name", ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "tq1_0", "tq2_0", "iq4_nl", "mxfp4"]
)
def test_storage_of_gguf_blocks(name: str) -> None:
    weights, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name.upper()]]
    assert TYPES[name].group == weights
    assert TYPES[name].bits_per_weight() == 8 * size / weights


def test_storage_of_other_types() -> None:
    # OCP MX: 32 elements and 8 bits of scale; NVFP4: 16 and 8.
    assert TYPES["mxfp6_e2m3"].bits_per_weight() == 6.25
    assert TYPES["mxint8"].bits_per_weight() == 8.25
    assert TYPES["nvfp4"].bits_per_weight() == 4.5 and TYPES["nvfp4"].storage == "4.5"
    assert TYPES["nf4"].bits_per_weight(64) == 4.5 and TYPES["nf4"].storage == "4 + 32/group"
    assert TYPES["uint4"].bits_per_weight(128) == 4 + (32 + 4) / 128
    assert DataType("bare", 3, lambda codes: codes, scale=None).storage == "3"
    with pytest.raises(InputError, match=r"^group is needed: type nf4 has no block of its own$"):
        TYPES["nf4"].bits_per_weight()


def test_the_type_of_the_docstring_works() -> None:
    result = doctest.testmod(types)
    assert result.failed == 0 < result.attempted


def test_levels_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        TYPES["int4"].levels[0] = 1


def test_named() -> None:
    assert named("q4_0") is TYPES["q4_0"]
    with pytest.raises(InputError, match=r"^type 'int9' is unknown; known are uint1, uint2, .*$"):
        named("int9")


def test_map() -> None:
    squares = types.map(TYPES["int3"], np.square, "squares", scale="bf16", group=8)
    assert squares.levels.tolist() == [0, 1, 4, 9, 16, 9, 4, 1]
    assert (squares.name, squares.bits, squares.scale, squares.group) == ("squares", 3, "bf16", 8)
    # Reserved codes stay so; a function that has no value for a level is refused.
    assert types.map(TYPES["fp8_e4m3"], np.negative, "n").reserved == (0x7F, 0xFF)
    with np.errstate(invalid="ignore"), pytest.raises(InputError, match=r"^type root: code 4 dec"):
        types.map(TYPES["int3"], np.sqrt, "root")


def counting() -> types.Decode:
    """A function that adds the number of calls so far."""
    calls: list[int] = []

    def decode(codes: np.ndarray) -> np.ndarray:
        calls.append(1)
        return codes + float(len(calls))

    return decode


def as_given(function: Callable[[np.ndarray], Any]) -> types.Decode:
    return function


FUNCTION = "decode must be a function of the code, but "
SHAPE = "decode must give real numbers of shape (4,) for as many codes, not "


def whole_table_by_shape(codes: np.ndarray) -> np.ndarray:
    return codes + 1.0 * codes.ndim


def by_length(codes: np.ndarray) -> np.ndarray:
    return codes * 1.0 if codes.size > 1 else codes + 1.0


BAD: dict[str, tuple[types.Decode, str]] = {
    "nondeterministic": (counting(), FUNCTION + r"called again, code 0 becomes \S+ instead of \S+"),
    "running sum": (
        lambda codes: np.cumsum(codes.reshape(-1)).reshape(codes.shape) * 1.0,
        FUNCTION + r"given codes in another order, code \d becomes \S+ instead of \S+",
    ),
    "one by one": (
        by_length,
        FUNCTION + "given codes one by one, code 0 becomes 1.0 instead of 0.0",
    ),
    "matrix": (
        whole_table_by_shape,
        FUNCTION + "given a matrix, code 0 becomes 2.0 instead of 1.0",
    ),
    "NaN": (lambda codes: np.where(codes == 2, np.nan, 1), "code 2 decodes to nan; a finite one "),
    "infinity": (lambda codes: np.where(codes == 1, -np.inf, 1), "code 1 decodes to -inf; a fin"),
    "too short": (lambda codes: codes[:1] * 1.0, re.escape(SHAPE + "float64 of shape (1,)")),
    "scalar": (lambda codes: as_given(lambda _: 1.0)(codes), re.escape(SHAPE + "float64 of sh")),
    "complex": (lambda codes: codes * 1j, re.escape(SHAPE + "complex128 of shape (4,)")),
    "text": (lambda codes: codes.astype(str), re.escape(SHAPE + "<U3 of shape (4,)")),
    "none": (lambda codes: as_given(lambda _: None)(codes), re.escape(SHAPE + "object of shap")),
    "raises": (lambda codes: codes[99], "decode raises IndexError: index 99 is out of bounds"),
    "no function": (None, "decode raises TypeError: 'NoneType' object is not callable"),  # type: ignore[dict-item]
}


@pytest.mark.parametrize("case", BAD)
def test_decodes_that_cannot_be(case: str) -> None:
    decode, message = BAD[case]
    with pytest.raises(InputError, match=f"^type mine: {message}") as caught:
        DataType("mine", 2, decode)
    assert "\n" not in str(caught.value)


def test_a_decode_may_not_write_to_its_codes() -> None:
    def doubling(codes: np.ndarray) -> np.ndarray:
        codes *= 2
        return codes

    assert DataType("mine", 2, doubling).levels.tolist() == [0, 2, 4, 6]


FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "bits 0": ({"bits": 0}, "type mine: bits must be 1..8, not 0"),
    "bits 9": ({"bits": 9}, "type mine: bits must be 1..8, not 9"),
    "bits real": ({"bits": 4.0}, "type mine: bits must be 1..8, not 4.0"),
    "bits True": ({"bits": True}, "type mine: bits must be 1..8, not True"),
    "name": ({"name": "a b"}, "type name must be letters, digits and '_', not 'a b'"),
    "no name": ({"name": ""}, "type name must be letters, digits and '_', not ''"),
    "name 3": ({"name": 3}, "type name must be letters, digits and '_', not 3"),
    "group": ({"group": 0}, "type mine: group must be an integer of 1 or more, or None, not 0"),
    "scale": (
        {"scale": "fp64"},
        f"type mine: scale must be one of {', '.join(SCALES)}, not 'fp64'",
    ),
    "offset": (
        {"offset": "int8"},
        f"type mine: offset must be one of {', '.join(SCALES)}, not 'int8'",
    ),
    "rounded": (
        {"rounded": True, "zero": True},
        "type mine: rounded must be False for a type with zero points or offsets",
    ),
    "rounded level": (
        {"rounded": True, "decode": lambda codes: codes + 0.1},
        "type mine: code 0 decodes to 0.1, which no fp32 is",
    ),
    "reserved": ({"reserved": (4,)}, "type mine: reserved must be codes below 4, not 4"),
    "reserved list": ({"reserved": [3]}, "type mine: reserved must be a tuple, not [3]"),
    "all reserved": (
        {"reserved": (0, 1, 2, 3)},
        "type mine: reserved must leave one code or more",
    ),
}


@pytest.mark.parametrize("case", FIELDS)
def test_fields_that_cannot_be(case: str) -> None:
    changed, message = FIELDS[case]
    good: dict[str, Any] = {"name": "mine", "bits": 2, "decode": lambda codes: codes * 1.0}
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        DataType(**(good | changed))


def test_codebooks() -> None:
    book = codebook([3, -1, 3])
    assert (book.bits, book.reserved, book.rounded) == (2, (3,), True)
    assert book.levels[:3].tolist() == [3, -1, 3]
    assert codebook(np.arange(256)).bits == 8 and codebook(np.arange(2)).bits == 1


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ([0.0, np.nan], "type codebook: code 1 decodes to nan; a finite one would do"),
        ([-np.inf, 0.0], "type codebook: code 0 decodes to -inf; a finite one would do"),
        ([0.1, 1.0], "type codebook: code 0 decodes to 0.1, which no fp32 is"),
        ([1.0], "codebook must be 2 to 256 real numbers, not float64 of shape (1,)"),
        (np.zeros(257), "codebook must be 2 to 256 real numbers, not float64 of shape (257,)"),
        (np.zeros((2, 2)), "codebook must be 2 to 256 real numbers, not float64 of shape (2, 2)"),
        (["a", "b"], "codebook must be 2 to 256 real numbers, not <U1 of shape (2,)"),
    ],
)
def test_codebooks_that_cannot_be(levels: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        codebook(levels)
