"""`lutcore.layout`: reinterpretation, folding, the documented byte order, and every error."""

import itertools
import re
from fractions import Fraction

import numpy as np
import pytest

from lutcore.config import TensorCoreConfig, preset
from lutcore.errors import InputError
from lutcore.layout import AffineWeights, Segment, TernaryWeights, fold, pack, segments, unfold


def exactly(text):
    return f"^{re.escape(text)}$"


def affine(rng, n, k, bits, group):
    shape = (n, -(-k // group))
    return AffineWeights(
        codes=rng.integers(0, 1 << bits, (n, k), dtype=np.uint8),
        bits=bits,
        scales=rng.uniform(-2, 2, shape).astype(np.float32),
        zeros=rng.integers(0, 2 << bits, shape) / 2,
        group=group,
    )


def ternary(rng, n, k, group):
    return TernaryWeights(
        ternary=rng.integers(-1, 2, (n, k), dtype=np.int8),
        scales=rng.uniform(-2, 2, (n, -(-k // group))).astype(np.float32),
        group=group,
    )


@pytest.mark.parametrize("bits", range(1, 9))
def test_reinterpretation_is_an_identity(rng, bits):
    weights = affine(rng, 3, 21, bits, 8)
    planes, zeros, real = weights.planes, weights.doubled_zeros, weights.real()
    assert planes.shape == (bits, 3, 21)
    for n, k in np.ndindex(3, 21):
        code = sum(2 ** (bits - 1 - p) * (2 * int(planes[p, n, k]) - 1) for p in range(bits))
        scale = Fraction(float(weights.scales[n, k // 8]))
        q, z = int(weights.codes[n, k]), Fraction(float(weights.zeros[n, k // 8]))
        assert code == 2 * q - (2**bits - 1)
        assert scale / 2 * (code - int(zeros[n, k // 8])) == scale * (q - z)
        assert real[n, k] == np.float64(weights.scales[n, k // 8]) * float(q - z)
    assert np.any(real)


def test_ternary_planes(rng):
    weights = ternary(rng, 4, 19, 5)
    signs = 2 * weights.planes.astype(int) - 1
    assert np.array_equal(signs.sum(axis=0), 2 * weights.ternary.astype(int))
    assert set(np.unique(weights.ternary)) == {-1, 0, 1}
    assert weights.planes[:, weights.ternary == 0].T.tolist() == [[1, 0]] * int(
        (weights.ternary == 0).sum()
    )
    assert not weights.doubled_zeros.any()
    index = np.arange(19) // 5
    assert np.array_equal(
        weights.real(), weights.ternary * weights.scales.astype(np.float64)[:, index]
    )


def test_scales_and_zeros_of_narrow_types():
    fields = {
        "codes": np.array([[1, 2]], dtype=np.uint16),
        "bits": 2,
        "scales": np.array([[2.0**-24]], dtype=np.float16),  # subnormal there, normal in float32
        "zeros": np.array([[2]]),
        "group": 2,
    }
    weights = AffineWeights(**fields)
    assert weights.scales.dtype == np.float32
    assert weights.codes.dtype == np.uint8
    assert weights.real().tolist() == [[-(2.0**-24), 0.0]]


@pytest.mark.parametrize("g", range(2, 7))
def test_fold_means_table_entry_and_sign(g):
    signs = np.array(list(itertools.product([0, 1], repeat=g)), dtype=np.uint8)
    codes = fold(signs)
    assert sorted(codes.tolist()) == list(range(2**g))
    assert np.array_equal(unfold(codes, g), signs)
    x = [3**i for i in range(g)]  # signed sums of powers of three are all different
    for bits, code in zip(signs.tolist(), codes.tolist(), strict=True):
        index, negate = code % 2 ** (g - 1), code >> (g - 1)
        entry = x[-1] + sum(x[i] if index >> i & 1 else -x[i] for i in range(g - 1))
        assert (-entry if negate else entry) == sum(
            value if bit else -value for value, bit in zip(x, bits, strict=True)
        )


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


def plane_bits(weights, plane, column, k):
    """1 for +1, from the codes of the weights alone."""
    if isinstance(weights, TernaryWeights):
        value = int(weights.ternary[column, k])
        return int(value >= 0) if plane == 0 else int(value > 0)
    return int(weights.codes[column, k]) >> (weights.bits - 1 - plane) & 1


@pytest.mark.parametrize("name", ["paper", "tiny", "wide"])
@pytest.mark.parametrize("bits", [1, 3, 8, 0])
def test_pack_keeps_the_documented_byte_order(rng, name, bits):
    config = preset(name)
    n, k, group = config.n + 3, 45, 20
    weights = affine(rng, n, k, bits, group) if bits else ternary(rng, n, k, group)
    packed = pack(weights, config)
    planes = bits or 2
    assert (packed.shape, packed.planes, packed.equal) == ((n, k), planes, bits == 0)
    assert packed.segments == segments(k, group, config)
    g, wide = config.lookup_group, config.groups_per_step
    steps = [cut.steps(config) for cut in packed.segments]
    assert packed.beats.shape == (2, planes * sum(steps), config.weight_beat_bytes)
    assert packed.beats.dtype == np.uint8
    for tile in range(2):
        beat = 0
        for cut in packed.segments:
            for plane in range(planes):
                for step in range(cut.steps(config)):
                    vector = int.from_bytes(packed.beats[tile, beat].tobytes(), "little")
                    for column, j in np.ndindex(config.n, wide):
                        code = vector >> ((column * wide + j) * g) & (2**g - 1)
                        negate = code >> (g - 1)
                        got = [(code >> i & 1) ^ negate for i in range(g - 1)] + [1 - negate]
                        absolute = tile * config.n + column
                        first = cut.start + (step * wide + j) * g
                        assert got == [
                            plane_bits(weights, plane, absolute, at)
                            if absolute < n and at < cut.stop
                            else 0
                            for at in range(first, first + g)
                        ]
                    assert vector >> (config.n * wide * g) == 0
                    beat += 1
        for index, cut in enumerate(packed.segments):
            for column in range(config.n):
                absolute = tile * config.n + column
                inside = absolute < n
                scale = weights.scales[absolute, cut.group] if inside else 0
                zero = weights.doubled_zeros[absolute, cut.group] if inside else 0
                assert packed.scales[tile, index, column] == scale
                assert packed.zeros[tile, index, column] == zero
    assert packed.beats.any() and packed.scales.any()


GOOD = {
    "codes": np.ones((2, 5), np.uint8),
    "bits": 2,
    "scales": np.ones((2, 2), np.float32),
    "zeros": np.ones((2, 2)),
    "group": 3,
}


def with_value(array, index, value):
    changed = array.copy()
    changed[index] = value
    return changed


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"bits": 2.0}, "bits must be an integer from 1 to 8, not 2.0"),
        ({"bits": True}, "bits must be an integer from 1 to 8, not True"),
        ({"bits": 0}, "bits must be 1..8, not 0"),
        ({"bits": 9}, "bits must be 1..8, not 9"),
        ({"codes": [[1]]}, "codes must be a numpy array, not list"),
        ({"codes": np.ones(5, np.uint8)}, "codes must have 2 dimensions, not shape (5,)"),
        (
            {"codes": np.ones((2, 0), np.uint8)},
            "codes must not be empty, but has shape (2, 0)",
        ),
        ({"codes": np.ones((2, 5), np.int8)}, "codes must be unsigned integers, not int8"),
        (
            {"codes": with_value(GOOD["codes"], (1, 3), 4)},
            "codes must be below 2^2 = 4, but codes[1, 3] is 4",
        ),
        (
            {"codes": np.full((2, 5), 256, np.uint16), "bits": 8},
            "codes must be below 2^8 = 256, but codes[0, 0] is 256",
        ),
        ({"group": 0}, "group must be an integer of 1 or more, not 0"),
        ({"group": 2.5}, "group must be an integer of 1 or more, not 2.5"),
        ({"group": True}, "group must be an integer of 1 or more, not True"),
        ({"scales": None}, "scales must be a numpy array, not NoneType"),
        (
            {"scales": np.ones((2, 2))},
            "scales must be float32 or float16, not float64",
        ),
        (
            {"scales": np.ones((2, 3), np.float32)},
            "scales must have shape (2, 2) for 2 columns and 5 weights in groups of 3, not (2, 3)",
        ),
        (
            {"scales": with_value(GOOD["scales"], (1, 0), np.nan)},
            "scales must be finite, but scales[1, 0] is nan",
        ),
        (
            {"scales": with_value(GOOD["scales"], (0, 1), -np.inf)},
            "scales must be finite, but scales[0, 1] is -inf",
        ),
        (
            {"scales": with_value(GOOD["scales"], (0, 1), 1e-39)},
            "scales must be 0 or a normal float32 (1.18e-38 or more in magnitude), but "
            f"scales[0, 1] is {np.float32(1e-39)}",
        ),
        ({"zeros": 1}, "zeros must be a numpy array, not int"),
        ({"zeros": np.ones((2, 3))}, "zeros must have the shape of scales, (2, 2), not (2, 3)"),
        ({"zeros": np.ones((2, 2), complex)}, "zeros must be real numbers, not complex128"),
        *(
            (
                {"zeros": with_value(GOOD["zeros"], (1, 1), value)},
                "zeros must be multiples of 1/2 within -32768..32768, but "
                f"zeros[1, 1] is {float(value)}",
            )
            for value in (0.25, np.nan, np.inf, 32768.5, -1.7e308)
        ),
    ],
)
def test_affine_errors(fields, text):
    AffineWeights(**GOOD)
    with pytest.raises(InputError, match=exactly(text)):
        AffineWeights(**(GOOD | fields))


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"ternary": (1,)}, "ternary must be a numpy array, not tuple"),
        (
            {"ternary": np.ones((1, 2, 5), np.int8)},
            "ternary must have 2 dimensions, not shape (1, 2, 5)",
        ),
        ({"ternary": np.ones((0, 5), np.int8)}, "ternary must not be empty, but has shape (0, 5)"),
        ({"ternary": np.ones((2, 5), np.uint8)}, "ternary must be int8, not uint8"),
        (
            {"ternary": np.array([[1, 0, -1, 0, 0], [0, -2, 0, 0, 0]], np.int8)},
            "ternary must be -1, 0 or 1, but ternary[1, 1] is -2",
        ),
        ({"group": -1}, "group must be an integer of 1 or more, not -1"),
        (
            {"scales": np.ones((2, 1), np.float32)},
            "scales must have shape (2, 2) for 2 columns and 5 weights in groups of 3, not (2, 1)",
        ),
    ],
)
def test_ternary_errors(fields, text):
    good = {"ternary": np.ones((2, 5), np.int8), "scales": GOOD["scales"], "group": 3}
    TernaryWeights(**good)
    with pytest.raises(InputError, match=exactly(text)):
        TernaryWeights(**(good | fields))


def test_pack_errors(rng):
    config = TensorCoreConfig(m=1, n=2, weight_bits=1, zero_bits=4)
    text = "weights have 2 bit planes, but weight_bits of the configuration is 1; 2 would do"
    for weights in (AffineWeights(**GOOD), ternary(rng, 2, 5, 5)):
        with pytest.raises(InputError, match=exactly(text)):
            pack(weights, config)
    zeros = with_value(GOOD["zeros"], (1, 0), 5.5)
    config = TensorCoreConfig(m=1, n=2, weight_bits=2, zero_bits=4)
    pack(AffineWeights(**GOOD | {"zeros": with_value(zeros, (1, 0), 5)}), config)
    text = "zeros[1, 0] makes z' = 2z + 1 - 2^bits = 8, which does not fit zero_bits = 4 (-8..7)"
    with pytest.raises(InputError, match=exactly(text)):
        pack(AffineWeights(**GOOD | {"zeros": zeros}), config)
