"""`lutcore.layout`: folding, the documented byte order, and every error."""

# Operands of any kind, as a caller who is not type-checked hands them over.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false

import itertools
import re

import numpy as np
import pytest

from lutcore.config import PRESETS, TensorCoreConfig, preset
from lutcore.errors import InputError
from lutcore.layout import Pass, Segment, fold, fold_ternary, pack, segments, unfold
from lutcore.weights import AffineWeights, PlaneWeights, Term, TernaryWeights


def exactly(text):
    return f"^{re.escape(text)}$"


def random_weights(rng, kind, n, k, group):
    """Affine weights of `kind` bits with offsets, or ternary ones."""
    shape = (n, -(-k // group))
    scales, offsets = rng.uniform(-2, 2, (2, *shape)).astype(np.float32)
    if kind == "ternary":
        return TernaryWeights(rng.integers(-1, 2, (n, k), dtype=np.int8), scales, group)
    codes = rng.integers(0, 1 << kind, (n, k), dtype=np.uint8)
    zeros = rng.integers(0, 2 << kind, shape) / 2
    return AffineWeights(codes, kind, scales, zeros, group, offsets)


@pytest.mark.parametrize("g", range(2, 7))
def test_fold_means_table_entry_and_sign(g):
    digits = np.array(list(itertools.product([-1, 1], repeat=g)), dtype=np.int8)
    codes = fold(digits)
    assert sorted(codes.tolist()) == list(range(2**g))
    assert np.array_equal(unfold(codes, g), digits)
    x = [3**i for i in range(g)]  # signed sums of powers of three are all different
    for row, code in zip(digits.tolist(), codes.tolist(), strict=True):
        index, negate = code % 2 ** (g - 1), code >> (g - 1)
        entry = x[-1] + sum(x[i] if index >> i & 1 else -x[i] for i in range(g - 1))
        assert (-entry if negate else entry) == sum(
            value * digit for value, digit in zip(x, row, strict=True)
        )


def unfold_ternary(code):
    """(d_a, d_b, x) of a 5-bit code: docs/specification.md, "Folding, D = 3"."""
    low, negative, above, below = code & 3, code >> 2 & 1, code >> 3 & 1, code >> 4
    if above and below:
        assert not negative
        return 0, 0, (low & 1) - (low >> 1)
    value = -(low + 1) if negative else low + 1
    first = (value + 1) % 3 - 1
    return first, (value - first) // 3, above - below


def test_fold_ternary():
    digits = np.array(list(itertools.product([-1, 0, 1], repeat=6)), dtype=np.int8)
    codes = fold_ternary(digits)
    assert codes.shape == (3**6, 2)
    assert len(np.unique(codes)) == 27 and codes.max() < 32
    for (a, b, c, d, x, y), pair in zip(digits.tolist(), codes.tolist(), strict=True):
        assert [unfold_ternary(code) for code in pair] == [(a, b, x), (c, d, y)]


@pytest.mark.parametrize("k", [1, 7, 64, 130, 300])
@pytest.mark.parametrize("group", [4, 30, 64, 128, 1000])
def test_segments_cut_at_groups_and_blocks(k, group):
    config = preset("wide")
    cuts = segments(k, group, config)
    assert [cut.start for cut in cuts] == [0, *(cut.stop for cut in cuts)][:-1]
    assert cuts[-1].stop == k
    for cut in cuts:
        length = cut.stop - cut.start
        assert cut.group == cut.start // group == (cut.stop - 1) // group
        assert 1 <= length <= config.block
        ends = cut.stop == k or cut.stop % group == 0
        assert ends or length == config.block
        assert cut.steps(config) == -(-length // 16)


def test_segments_by_example():
    assert segments(150, 100, preset("paper")) == [
        Segment(0, 64, 0),
        Segment(64, 100, 0),
        Segment(100, 150, 1),
    ]


def stored_digits(vector, column, config):
    """Digits [k] of a column, from the bits of a beat."""
    if config.table_digits == 3:
        code = vector >> (column * config.k // 6 * 10) & ((1 << config.k // 6 * 10) - 1)
        digits = []
        for six in range(config.k // 6):
            a, b, x = unfold_ternary(code >> 10 * six & 31)
            c, d, y = unfold_ternary(code >> 10 * six + 5 & 31)
            digits += [a, b, c, d, x, y]
        return digits
    g = config.lookup_group
    digits = []
    for j in range(config.groups_per_step):
        code = vector >> ((column * config.groups_per_step + j) * g) & (2**g - 1)
        negate = code >> (g - 1)
        bits = [(code >> i & 1) ^ negate for i in range(g - 1)] + [1 - negate]
        digits += [2 * bit - 1 for bit in bits]
    return digits


NARROW = TensorCoreConfig(name="narrow", m=1, n=3, lookup_group=5, weight_bits=3, block=10)


PAIRS = TensorCoreConfig(name="pairs", m=1, n=3, lookup_group=2, groups_per_step=3, block=24)
# The presets of FP16 scales cannot hold these weights.
CONFIGS = [*(config for config in PRESETS.values() if "fp32" in config.scales), NARROW, PAIRS]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
@pytest.mark.parametrize("kind", [1, 3, 7, "ternary"])
def test_pack_keeps_the_documented_byte_order(rng, config, kind):
    n, k, group = config.n + 3, 45, 20
    weights = random_weights(rng, kind, n, k, group)
    packed = pack(weights, config)
    terms = weights.terms(config)
    cuts = segments(k, group, config)
    assert packed.shape == (n, k)
    assert packed.passes == [
        Pass(cut, len(term.digits), term.equal, term is not terms[0], term.offsets is not None)
        for cut in cuts
        for term in terms
    ]
    assert len(terms) == (3 if (config, kind) == (NARROW, 7) else 1)
    steps = [item.planes * item.segment.steps(config) for item in packed.passes]
    assert packed.beats.shape == (2, sum(steps), config.weight_beat_bytes)
    assert packed.beats.dtype == np.uint8
    rounds = [item.rounds for item in packed.passes]
    assert packed.scales.shape == packed.zeros.shape == (2, sum(rounds), config.n)
    for tile in range(2):
        columns = [tile * config.n + column for column in range(config.n)]
        beats = iter(packed.beats[tile])
        scaling = zip(packed.scales[tile].tolist(), packed.zeros[tile].tolist(), strict=True)
        for cut, term in itertools.product(cuts, terms):
            for plane, step in itertools.product(term.digits, range(cut.steps(config))):
                vector = int.from_bytes(next(beats).tobytes(), "little")
                first = cut.start + step * config.k
                for column, absolute in enumerate(columns):
                    assert stored_digits(vector, column, config) == [
                        plane[absolute, at] if absolute < n and at < cut.stop else -1
                        for at in range(first, first + config.k)
                    ]
                assert vector >> (config.n * config.code_bits) == 0
            inside = [absolute for absolute in columns if absolute < n]
            padding = len(columns) - len(inside)
            scales, zeros = next(scaling)
            assert scales == term.scales[inside, cut.group].tolist() + [1] * padding
            assert zeros == term.zeros[inside, cut.group].tolist() + [0] * padding
            if term.offsets is not None:
                scales, zeros = next(scaling)
                assert scales == term.offsets[inside, cut.group].tolist() + [1] * padding
                assert zeros == [-1] * len(inside) + [0] * padding
        assert next(beats, None) is None and next(scaling, None) is None
    assert packed.beats.any() and (packed.scales != 1).any()


@pytest.mark.parametrize(
    ("scale", "offset", "name"),
    [
        (0.5, None, "e8m0"),
        (0.75, None, "e4m3"),
        (0.5, 0.75, "e4m3"),
        (1 + 2.0**-7, None, "bf16"),
        (1 + 2.0**-10, 1, "fp16"),
        (2.0**-20, 1 + 2.0**-7, "bf16"),
        (1 + 2.0**-20, None, "fp32"),
        (2.0**-149, None, "fp32"),
        (0.0, None, "e4m3"),
        (-1.0, None, "e4m3"),
    ],
)
def test_the_first_scale_format_that_holds_all(scale, offset, name):
    config = TensorCoreConfig(m=1, n=1, scales=("e8m0", "e4m3", "bf16", "fp16", "fp32"))
    codes, ones = np.ones((1, 8), np.uint8), np.ones((1, 2), np.float32)
    scales = np.array([[1, scale]], np.float32)
    offsets = None if offset is None else np.array([[1, offset]], np.float32)
    weights = AffineWeights(codes, 2, scales, ones, 4, offsets)
    assert pack(weights, config).scale == name


GOOD = {
    "codes": np.ones((2, 5), np.uint8),
    "bits": 2,
    "scales": np.ones((2, 2), np.float32),
    "zeros": np.ones((2, 2)),
    "group": 3,
}


def test_pack_errors():
    config = TensorCoreConfig(m=1, n=2, weight_bits=1, zero_bits=4)
    digits = np.ones((2, 2, 5), np.int8)
    zeros = np.zeros((2, 2), np.int64)
    text = "weights have 2 planes in a pass, but weight_bits of the configuration is 1; 2 would do"
    with pytest.raises(InputError, match=exactly(text)):
        pack(PlaneWeights((Term(digits, False, GOOD["scales"], zeros),), 3), config)
    digits[1, 1, 2] = 0
    text = (
        "weights have the digit 0, but table_digits of the configuration is 2; "
        "table_digits = 3 would do"
    )
    with pytest.raises(InputError, match=exactly(text)):
        pack(PlaneWeights((Term(digits, False, GOOD["scales"], zeros),), 3), preset("tiny"))
    pack(PlaneWeights((Term(digits, False, GOOD["scales"], zeros),), 3), preset("ternary"))
    zeros = np.ones((2, 2))
    zeros[1, 0] = 5
    config = TensorCoreConfig(m=1, n=2, weight_bits=2, zero_bits=4)
    pack(AffineWeights(**GOOD | {"zeros": zeros}), config)
    zeros[1, 0] = 5.5
    text = "zeros[1, 0] makes z' = 2z + 1 - 2^bits = 8, which does not fit zero_bits = 4 (-8..7)"
    with pytest.raises(InputError, match=exactly(text)):
        pack(AffineWeights(**GOOD | {"zeros": zeros}), config)
    config = TensorCoreConfig(m=1, n=2, scales=("fp16", "e8m0"))
    scales = GOOD["scales"].copy()
    scales[1, 1] = 3e5
    text = (
        "no scale format of the configuration (fp16, e8m0) holds all scales: e8m0 lacks 300000.0; "
        "adding fp32 to its scales would do"
    )
    with pytest.raises(InputError, match=exactly(text)):
        pack(AffineWeights(**GOOD | {"scales": scales}), config)
