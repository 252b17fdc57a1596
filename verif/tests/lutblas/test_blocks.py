"""Layouts against hand-written examples, plain loops, and the blocks that `gguf` itself writes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType, quants
from numpy.typing import NDArray

from lutblas import bitnet, blocks, tmac, words
from lutblas.blocks import Fields
from lutblas.words import Grouped
from lutcore.errors import InputError

HALF_ONE = [0x00, 0x3C]
HALF_TWO = [0x00, 0x40]


def row(*parts: list[int]) -> NDArray[np.uint8]:
    return np.array([sum(parts, [])], dtype=np.uint8)


def codes_of(fields: Fields, *where: int) -> list[int]:
    return [int(fields.codes[0, i]) for i in where]


@pytest.mark.parametrize("name", blocks.LAYOUTS)
def test_packing_what_gguf_wrote_gives_its_bytes(rng: np.random.Generator, name: str) -> None:
    if name == "iq4_nl":  # gguf does not quantise to it
        raw = rng.integers(0, 256, (5, 36), dtype=np.uint8)
        raw[:, [1, 19]] &= 0x3F
    else:
        values = rng.standard_normal((5, 512)).astype(np.float32)
        raw = quants.quantize(values, GGMLQuantizationType[name.upper()])
    fields = blocks.unpack_gguf(name, raw)
    assert np.array_equal(blocks.pack_gguf(name, fields), raw)


@pytest.mark.parametrize("name", blocks.LAYOUTS)
def test_packed_codes_come_back(rng: np.random.Generator, name: str) -> None:
    layout = blocks.LAYOUTS[name]
    shape = (3, 2 * layout.block)
    codes = rng.integers(0, layout.codes, shape).astype(np.uint8)
    scales = np.exp2(rng.integers(-9, 9, (3, 2))).astype(np.float32)
    offsets = -scales if name in ("q4_1", "q5_1") else None
    fields = blocks.unpack_gguf(name, blocks.pack_gguf(name, Fields(codes, scales, offsets)))
    assert np.array_equal(fields.codes, codes)
    assert np.array_equal(fields.scales, scales)
    assert (fields.offsets is None) == (offsets is None)
    if fields.offsets is not None and offsets is not None:
        assert np.array_equal(fields.offsets, offsets)


def test_q4_1_by_hand() -> None:
    raw = row(HALF_TWO, HALF_ONE, [0x5A] + [0] * 14 + [0xF3])
    fields = blocks.unpack_gguf("q4_1", raw)
    assert codes_of(fields, 0, 15, 16, 31) == [0xA, 0x3, 0x5, 0xF]
    assert fields.scales.tolist() == [[2.0]]
    assert fields.offsets is not None and fields.offsets.tolist() == [[1.0]]


def test_q5_0_by_hand() -> None:
    raw = row(HALF_ONE, [0x01, 0, 0, 0x80], [0x21] + [0] * 14 + [0x43])
    assert codes_of(blocks.unpack_gguf("q5_0", raw), 0, 15, 16, 31) == [17, 3, 2, 20]


def test_q8_0_codes_are_biased() -> None:
    raw = row(HALF_ONE, [0x80, 0xFF, 0x00, 0x7F] + [0] * 28)
    assert codes_of(blocks.unpack_gguf("q8_0", raw), 0, 1, 2, 3) == [0, 127, 128, 255]


def test_tq2_0_by_hand() -> None:
    raw = row([0b11_10_01_00] + [0] * 31 + [0b01] + [0] * 31, HALF_ONE)
    fields = blocks.unpack_gguf("tq2_0", raw)
    assert codes_of(fields, 0, 32, 64, 96, 128) == [0, 1, 2, 3, 1]


def test_tq1_0_by_hand() -> None:
    # 21020 in base 3 is 195; 195 * 256 / 243 rounded up is 206.
    raw = row([206] + [0] * 51, HALF_ONE)
    assert codes_of(blocks.unpack_gguf("tq1_0", raw), 0, 32, 64, 96, 128) == [2, 1, 0, 2, 0]


@pytest.mark.parametrize(
    ("stored", "scale"), [(0, 2.0**-127), (1, 2.0**-126), (127, 1.0), (254, 2.0**127)]
)
def test_mxfp4_scales_are_powers_of_two(stored: int, scale: float) -> None:
    fields = blocks.unpack_gguf("mxfp4", row([stored], [0x9F] + [0] * 15))
    assert codes_of(fields, 0, 16) == [15, 9]
    assert fields.scales.dtype == np.float32
    assert fields.scales.tolist() == [[scale]]


def test_mxfp4_exponent_255_is_nan() -> None:
    assert np.isnan(blocks.unpack_gguf("mxfp4", row([255], [0] * 16)).scales).all()


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_words_are_a_stream_of_bits(rng: np.random.Generator, bits: int) -> None:
    codes = rng.integers(0, 1 << bits, (3, 96)).astype(np.uint8)
    packed_words = words.pack_words(codes, bits)
    assert packed_words.dtype == np.int32 and packed_words.shape == (3, 3 * bits)
    for line, packed in zip(codes.tolist(), packed_words.tolist(), strict=True):
        stream = sum(code << (bits * i) for i, code in enumerate(line))
        assert [word & 0xFFFFFFFF for word in packed] == [
            stream >> (32 * i) & 0xFFFFFFFF for i in range(3 * bits)
        ]
    assert np.array_equal(words.unpack_words(packed_words, bits), codes)


def test_codes_of_3_bits_cross_the_borders_of_words() -> None:
    codes = np.zeros((1, 32), dtype=np.uint8)
    codes[0, [10, 21]] = 0b101, 0b110
    # Code 10: two low bits in bits 30 and 31, its top bit in bit 0 of word 1. Code 21: its low bit
    # in bit 31 of word 1, the others in bits 0 and 1 of word 2.
    assert words.pack_words(codes, 3).astype(np.uint32).tolist() == [[1 << 30, 1, 3]]


def test_gptq_zero_points_lack_one_and_wrap() -> None:
    weights = Grouped(
        np.zeros((32, 32), np.uint8), np.ones((32, 1), np.float32), np.full((32, 1), 8.0)
    )
    weights.zeros[0] = 0
    arrays: dict[str, Any] = words.pack_gptq(weights, 4)
    assert arrays["qzeros"].astype(np.uint32).tolist() == [[0x7777777F] + [0x77777777] * 3]
    assert np.array_equal(words.unpack_gptq(**arrays, bits=4).zeros, weights.zeros)
    second: dict[str, Any] = words.pack_gptq(weights, 4, zero_bias=0)
    assert second["qzeros"].astype(np.uint32).tolist() == [[0x88888880] + [0x88888888] * 3]
    assert np.array_equal(words.unpack_gptq(**second, bits=4, zero_bias=0).zeros, weights.zeros)


def test_awq_order_of_columns() -> None:
    qweight = np.array([[0x76543210]], dtype=np.int32)
    qzeros = np.array([[0x01234567]], dtype=np.int32)
    weights = words.unpack_awq(qweight, qzeros, np.ones((1, 8), np.float16))
    assert weights.codes[:, 0].tolist() == [0, 4, 1, 5, 2, 6, 3, 7]
    assert weights.zeros[:, 0].tolist() == [7, 3, 6, 2, 5, 1, 4, 0]
    assert weights.scales.dtype == np.float32
    arrays = words.pack_awq(weights)
    assert np.array_equal(arrays["qweight"], qweight)
    assert np.array_equal(arrays["qzeros"], qzeros)


def test_contiguous_groups_keep_their_order() -> None:
    assert words.contiguous(np.array([0, 0, 1, 1, 2]), 3) == (None, 2)


def test_scattered_groups_are_brought_together() -> None:
    order, group = words.contiguous(np.array([2, 0, 1, 0, 1], np.int32), 3)
    assert order is not None and order.dtype == np.int64
    assert (order.tolist(), group) == ([1, 3, 2, 4, 0], 2)


@pytest.mark.parametrize(
    ("g_idx", "groups", "message"),
    [
        ([0, 3], 2, "g_idx[1] must be 0..1, not 3"),
        ([0, -1], 2, "g_idx[1] must be 0..1, not -1"),
        (
            [0, 0, 1, 2, 2],
            3,
            "g_idx has 1 weights in group 1 and 2 in group 0; groups of one length would do",
        ),
        (
            [0, 1, 1],
            2,
            "g_idx has 2 weights in group 1 and 1 in group 0; groups of one length would do",
        ),
        (
            [0, 0],
            2,
            "g_idx has 0 weights in group 1 and 2 in group 0; groups of one length would do",
        ),
        ([0.0], 1, "g_idx must be integers, not float64"),
    ],
)
def test_groups_that_do_not_fit(g_idx: list[int], groups: int, message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        words.contiguous(np.array(g_idx), groups)


@pytest.mark.parametrize(("block", "run"), [(128, 32), (64, 16)])
def test_i2_s_by_hand(block: int, run: int) -> None:
    codes = np.ones((1, 128), dtype=np.uint8)
    codes[0, [0, run, 2 * run, 3 * run]] = 2, 1, 0, 2
    raw = bitnet.pack_i2_s(codes, 0.5, block)
    assert raw.dtype == np.uint8 and len(raw) == 128 // 4 + 32
    assert raw[0] == 0b10_01_00_10
    assert (raw[1:32] == 0b01_01_01_01).all()
    assert raw[32:36].tolist() == [0, 0, 0, 0x3F]  # float32 0.5


@pytest.mark.parametrize("block", [128, 64])
def test_i2_s_comes_back(rng: np.random.Generator, block: int) -> None:
    codes = rng.integers(0, 3, (6, 256)).astype(np.uint8)
    raw = bitnet.pack_i2_s(codes, 1.25, block)
    found, scale = bitnet.unpack_i2_s(raw, (6, 256), block)
    assert np.array_equal(found, codes)
    assert scale == np.float32(1.25)
    other, _ = bitnet.unpack_i2_s(raw[: 6 * 64 + 4], (6, 256), 192 - block)
    assert not np.array_equal(other, codes)


def test_hf_by_hand() -> None:
    packed = np.array([[0b10_01_00_10, 0b00_00_00_01], [0b01_01_01_01, 0]], dtype=np.uint8)
    codes = bitnet.unpack_hf(packed)
    assert codes[:, 0].tolist() == [2, 1, 0, 1, 1, 1, 2, 1]
    assert codes[:, 1].tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    assert np.array_equal(bitnet.pack_hf(codes), packed)


def test_t_mac_by_hand() -> None:
    # Bit 0 of the codes, from weight 0 on, is 1, 0, 1, 0, or 5; bit 1 is 0, 1, 1, 0, or 6.
    codes = np.array([[1, 2, 3, 0]], dtype=np.uint8)
    packed = tmac.pack_t_mac(codes, 2, bm=2, kfactor=1, lanes_in=1, lanes_out=1)
    assert packed.tolist() == [[[0x65]]]


@pytest.mark.parametrize(
    ("bits", "n", "k", "bm", "kfactor", "lanes_in", "lanes_out"),
    [(1, 64, 64, 64, 8, 16, 8), (2, 64, 128, 64, 16, 16, 8), (3, 64, 64, 96, 4, 16, 8)]
    + [(4, 32, 64, 64, 8, 32, 16)],
)
def test_t_mac_against_loops(
    rng: np.random.Generator, bits: int, n: int, k: int, bm: int, kfactor: int, lanes_in: int,
    lanes_out: int,
) -> None:  # fmt: skip
    codes = rng.integers(0, 1 << bits, (n, k)).astype(np.uint8)
    lanes = {"kfactor": kfactor, "lanes_in": lanes_in, "lanes_out": lanes_out}
    packed = tmac.pack_t_mac(codes, bits, bm=bm, **lanes)
    assert packed.shape == (n * bits // bm, k // 4, bm // 2)
    tiles = packed.reshape(
        n * bits // bm, k // 4 // kfactor, bm // 2 // lanes_in, kfactor, lanes_in
    )
    for row_number in range(n):
        for bit in range(bits):
            # Where T-MAC's reference product looks for this row of a bit plane.
            plane = row_number // lanes_out * lanes_out * bits + bit * lanes_out
            tile, inside = divmod(plane + row_number % lanes_out, bm)
            run, inside = divmod(inside, 2 * lanes_in)
            half, lane = divmod(inside, lanes_in)
            for group in range(k // 4):
                byte = int(tiles[tile, group // kfactor, run, group % kfactor, lane])
                want = [code >> bit & 1 for code in codes[row_number, 4 * group : 4 * group + 4]]
                assert [byte >> (4 * half + i) & 1 for i in range(4)] == want
    assert np.array_equal(tmac.unpack_t_mac(packed, bits, **lanes), codes)


ONES: Any = np.ones((4, 64), dtype=np.uint8)
WORDS: Any = np.zeros((4, 8), dtype=np.int32)
SCALES: Any = np.ones((4, 2), dtype=np.float32)
HALVES: Any = np.ones((2, 4), dtype=np.float16)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: blocks.unpack_gguf("q2_k", ONES),
            f"type 'q2_k' is not supported; supported are {', '.join(blocks.LAYOUTS)}",
        ),
        (
            lambda: blocks.unpack_gguf("q4_0", ONES),
            "raw must have rows of a multiple of 18 bytes for q4_0, not of 64",
        ),
        (lambda: blocks.unpack_gguf("q4_0", ONES.astype(np.int8)), "raw must be uint8, not int8"),
        (
            lambda: blocks.unpack_gguf("q4_0", ONES[0]),
            "raw must have 2 dimensions, not shape (64,)",
        ),
        (
            lambda: blocks.pack_gguf("q4_0", Fields(ONES * 16, SCALES)),
            "codes[0, 0] must be below 16 for q4_0, not 16",
        ),
        (
            lambda: blocks.pack_gguf("tq2_0", Fields(ONES, SCALES)),
            "K must be a multiple of 256 for tq2_0, not 64",
        ),
        (
            lambda: blocks.pack_gguf("q4_1", Fields(ONES, SCALES)),
            "offsets do not fit q4_1, which has offsets",
        ),
        (
            lambda: blocks.pack_gguf("q4_0", Fields(ONES, SCALES, SCALES)),
            "offsets do not fit q4_0, which has no offsets",
        ),
        (
            lambda: blocks.pack_gguf("q4_0", Fields(ONES, SCALES[:, :1])),
            "scales must have shape (4, 2), not (4, 1)",
        ),
        (
            lambda: blocks.pack_gguf("q4_0", Fields(ONES, SCALES * np.float32(1.0001))),
            "scales[0, 0] must be a number of float16, not 1.000100016593933",
        ),
        (
            lambda: blocks.pack_gguf("q4_0", Fields(ONES, SCALES * 1e6)),
            "scales[0, 0] must be a number of float16, not 1000000.0",
        ),
        (
            lambda: blocks.pack_gguf("mxfp4", Fields(ONES, SCALES * 3)),
            "scales[0, 0] must be a power of two from 2^-127 to 2^127, not 3.0",
        ),
        (
            lambda: blocks.pack_gguf("mxfp4", Fields(ONES, -SCALES)),
            "scales[0, 0] must be a power of two from 2^-127 to 2^127, not -1.0",
        ),
        (lambda: words.unpack_words(WORDS, 5), "bits must be one of 2, 3, 4, 8, not 5"),
        (
            lambda: words.unpack_words(WORDS, 3),
            "words in a row must be a multiple of 3 for 3 bits, not 8",
        ),
        (lambda: words.unpack_words(ONES, 4), "words must be int32, not uint8"),
        (
            lambda: words.pack_words(ONES[:, :12], 2),
            "codes must be a multiple of 32 for 2 bits, not 24",
        ),
        (
            lambda: words.unpack_gptq(WORDS, WORDS, HALVES, 4),
            "qzeros must have shape (2, 0), not (4, 8)",
        ),
        (
            lambda: words.unpack_gptq(WORDS, WORDS[:2, :1], np.ones((2, 8), np.float16), 8),
            "qzeros must have shape (2, 2), not (2, 1)",
        ),
        (
            lambda: words.unpack_awq(WORDS, WORDS, HALVES),
            "N must be a multiple of 8 for AWQ, not 4",
        ),
        (
            lambda: words.unpack_awq(WORDS, WORDS[:2, :1], np.ones((2, 8), np.float16)),
            "qweight must have shape (4, 1), not (4, 8)",
        ),
        (
            lambda: words.pack_awq(Grouped(ONES, SCALES, SCALES + 0.5)),
            "zeros[0, 0] must be an integer from 0 to 15, not 1.5",
        ),
        (
            lambda: words.pack_gptq(Grouped(ONES, SCALES, SCALES * 4.0), 2),
            "zeros[0, 0] must be an integer from 0 to 3, not 4.0",
        ),
        (
            lambda: bitnet.unpack_i2_s(ONES[0], (4, 64), 32),
            "block must be 128 or 64 for I2_S, not 32",
        ),
        (
            lambda: bitnet.unpack_i2_s(ONES[0], (4, 64)),
            "K must be a multiple of 128 for I2_S, not 64",
        ),
        (
            lambda: bitnet.unpack_i2_s(ONES[0], (4, 64), 64),
            "raw must have 96 bytes for (4, 64), not 64",
        ),
        (
            lambda: bitnet.unpack_i2_s(np.full(96, 3, np.uint8), (4, 64), 64),
            "codes[0, 48] is 3; 0, 1 or 2 would do",
        ),
        (lambda: bitnet.unpack_hf(ONES * 3), "codes[0, 0] is 3; 0, 1 or 2 would do"),
        (lambda: bitnet.pack_hf(ONES[:3]), "N must be a multiple of 4 for BitNet, not 3"),
        (lambda: tmac.pack_t_mac(ONES, 8), "bits must be one of 1, 2, 3, 4, not 8"),
        (lambda: tmac.pack_t_mac(ONES, 2, g=3), "g must be 1, 2, 4 or 8, not 3"),
        (lambda: tmac.pack_t_mac(ONES, 2, kfactor=0), "kfactor must be 1 or more, not 0"),
        (
            lambda: tmac.pack_t_mac(ONES, 2, kfactor=32),
            "K must be a multiple of 128 for kfactor 32, not 64",
        ),
        (lambda: tmac.pack_t_mac(ONES, 2), "N must be a multiple of 8 for lanes_out 8, not 4"),
        (
            lambda: tmac.pack_t_mac(ONES, 2, lanes_out=4),
            "N times bits must be a multiple of 512 for bm 512, not 8",
        ),
        (
            lambda: tmac.pack_t_mac(ONES, 2, lanes_out=4, bm=8),
            "bm must be a multiple of 32 for lanes_in 16, not 8",
        ),
    ],
)
def test_errors(call: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        call()
