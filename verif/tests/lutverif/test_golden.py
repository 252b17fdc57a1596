"""`lutverif.golden` against the exact-rational oracle, bit for bit.

`test_golden_rescale` has the arithmetic of `rescale`, `test_golden_input` what is refused.
"""

# Operands of any kind, as a caller who is not type-checked hands them over.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false

import dataclasses
import itertools
from fractions import Fraction

import numpy as np
import pytest

from lutcore.config import TensorCoreConfig, preset
from lutcore.formats import ACTIVATIONS, BF16, E4M3, FP16, INT4, INT8, INT16, FloatFormat
from lutcore.numbers import decode, rounded
from lutcore.weights import AffineWeights, PlaneWeights, Term, TernaryWeights
from lutverif import golden, oracle

ALL_OUTPUTS = ("fp32", "fp16", "bf16", "int32")
CONTAINERS = {"int4": np.int8, "int8": np.int8, "int16": np.int16, "fp16": np.float16}


def contained(values, fmt):
    return values.astype(CONTAINERS.get(fmt.name, np.float32))


def codes_of(values, output):
    """Results as the oracle gives them."""
    if output == "int32":
        assert values.dtype == np.int32
        return values.tolist()
    if output == "fp16":
        assert values.dtype == np.float16
        return values.view(np.uint16).tolist()
    assert values.dtype == np.float32
    codes = values.view(np.uint32)
    if output == "fp32":
        return codes.tolist()
    assert not (codes & 0xFFFF).any()
    return (codes >> 16).tolist()


def random_config(rng, activations, ternary=False):
    g = 2 if ternary else int(rng.integers(2, 7))
    wide = 3 if ternary else int(rng.integers(1, 4))
    return TensorCoreConfig(
        m=1,
        n=1,
        table_digits=2 + ternary,
        lookup_group=g,
        groups_per_step=wide,
        table_bits=int(rng.integers(4, 17)),
        block=g * wide * int(rng.integers(1, 9)),
        weight_bits=int(rng.integers(1, 9)),
        activations=activations,
        outputs=ALL_OUTPUTS,
    )


SCALES = ("plain", "small", "huge", "tiny")


def random_scales(rng, shape, kind):
    magnitude = {
        "plain": rng.uniform(0.1, 3, shape),
        "small": np.ldexp(rng.uniform(1, 2, shape), rng.integers(-32, -8, shape)),
        "huge": np.ldexp(rng.uniform(1, 2, shape), rng.integers(117, 120, shape)),
        "tiny": np.ldexp(rng.uniform(1, 2, shape), rng.integers(-149, -118, shape)),
    }[kind]
    sign = rng.choice([-1, 1, 0], shape, p=[0.4, 0.5, 0.1])
    return (magnitude * sign).astype(np.float32)


WEIGHTS = (*range(1, 9), "ternary", "planes")


def random_weights(rng, kind, n, k, group, config, scales="plain"):
    """Affine weights of `kind` bits, at times with offsets; ternary ones; or any terms."""
    shape = (n, -(-k // group))

    def factors():
        return random_scales(rng, shape, scales)

    def maybe_offsets():
        return factors() if rng.random() < 0.4 else None

    if kind == "ternary":
        return TernaryWeights(rng.integers(-1, 2, (n, k), dtype=np.int8), factors(), group)
    if kind == "planes":
        terms = []
        for _ in range(rng.integers(1, 4)):
            planes = (int(rng.integers(1, config.weight_bits + 1)), n, k)
            digits = rng.choice([-1, 1] if config.table_digits == 2 else [-1, 0, 1], planes)
            zeros = rng.integers(-300, 300, shape)
            equal = rng.random() < 0.5
            terms.append(Term(digits.astype(np.int8), equal, factors(), zeros, maybe_offsets()))
        return PlaneWeights(tuple(terms), group)
    codes = rng.integers(0, 1 << kind, (n, k), dtype=np.uint8)
    zeros = rng.integers(-(1 << kind), (4 << kind) + 1, shape) / 2
    return AffineWeights(codes, kind, factors(), np.clip(zeros, -128, 255), group, maybe_offsets())


KINDS = ("normal", "bits", "small", "zeros", "extreme", "special", "spread")
"""Of activations; small ones are subnormal in a float format."""


def random_activations(rng, fmt, m, k, kind):
    """[m, k] in the container of `fmt`; nonfinite ones only in the kind `special`."""
    shape = (m, k)
    if not isinstance(fmt, FloatFormat):
        values = rng.integers(fmt.min, fmt.max + 1, shape)
        if kind == "small":
            values = rng.integers(-2, 3, shape)
        if kind == "zeros":
            values[rng.random(shape) < 0.8] = 0
        if kind == "extreme":
            values = rng.choice([fmt.min, fmt.max, 0], shape)
        return contained(values, fmt)
    any_code = decode(rng.integers(0, 1 << fmt.bits, shape), fmt)
    any_code[~np.isfinite(any_code)] = 0
    top = decode(np.array(fmt.infinity - 1 if fmt.infinities else fmt.quiet_nan - 1), fmt)
    small = rng.integers(-1 << fmt.fraction_bits, 1 << fmt.fraction_bits, shape)
    small = np.ldexp(small.astype(float), fmt.unit_exponent)
    normal = rounded(rng.standard_normal(shape), fmt)
    if kind == "bits":
        normal = any_code
    if kind == "small":
        normal = small
    if kind == "zeros":
        normal = np.where(rng.random(shape) < 0.8, np.copysign(0.0, normal), normal)
    if kind == "extreme":
        normal = rng.choice([top, -top, np.ldexp(1.0, fmt.unit_exponent), 1], shape)
    if kind == "special":
        specials = [np.nan, np.inf, -np.inf] if fmt.infinities else [np.nan]
        normal[rng.integers(m), rng.integers(k)] = rng.choice(specials)
    if kind == "spread":
        exponents = rng.integers(2 * -fmt.bias // 2, fmt.bias, shape)
        normal = rounded(np.ldexp(rng.uniform(-1, 1, shape), exponents), fmt)
    return contained(normal, fmt)


# One unit after the other.


def test_precompute_pads_and_shifts_exact_formats():
    config = TensorCoreConfig(m=1, n=1, block=8)
    got = golden.precompute(np.array([[1, -128, 3, 4, 127]], np.int8), INT8, config)
    assert got.aligned.tolist() == [[1, -128, 3, 4, 127, 0, 0, 0]]
    assert (got.exponent.tolist(), got.nonfinite.tolist()) == ([0], [False])


def test_precompute_by_hand():
    # 2 peak 2^-e < 2^5 - 2: a peak of 6 fits units of 1/2.
    config = TensorCoreConfig(
        m=1, n=1, lookup_group=2, table_bits=5, block=4, activations=("fp16",)
    )
    rows = np.array([[5, 1, -4], [np.inf, 1, 1], [1, np.nan, 0], [0, -0.0, 0]], np.float16)
    got = golden.precompute(rows, FP16, config)
    assert got.aligned.tolist() == [[10, 2, -8, 0], [0] * 4, [0] * 4, [0] * 4]
    assert got.exponent.tolist() == [-1, 0, 0, -24]
    assert got.nonfinite.tolist() == [False, True, True, False]


def test_precompute_of_integers_that_are_not_exact():
    # 2 peak 2^-e < 2^5 - 2: at most 14 in units of 1, 29 of 2, 59 of 4.
    config = TensorCoreConfig(
        m=1, n=1, lookup_group=2, table_bits=5, block=4, activations=("int4", "int8")
    )
    assert config.exact(INT4) and not config.exact(INT8)
    rows = np.array([[8, -6], [-7, 8], [20, 9], [15, 15], [-128, -128], [0, 0]], np.int8)
    got = golden.precompute(rows, INT8, config)
    assert got.exponent.tolist() == [0, 1, 1, 2, 5, 0]
    # -7/2 and 9/2 are ties, to even.
    assert got.aligned[:, :2].tolist() == [[8, -6], [-4, 4], [10, 4], [4, 4], [-4, -4], [0, 0]]


def test_precompute_of_formats_without_infinity():
    config = TensorCoreConfig(m=1, n=1, block=4, activations=("e4m3", "bf16"))
    largest = np.array([[448, -448, 448, 448]], np.float32)
    assert golden.precompute(largest, E4M3, config).exponent.tolist() == [2]  # 1792 / 4 < 510
    got = golden.precompute(np.array([[np.nan, 448, 0, 0]], np.float32), E4M3, config)
    assert (got.aligned.any(), got.nonfinite.tolist()) == (False, [True])
    got = golden.precompute(np.ldexp(np.ones((1, 4), np.float32), -133), BF16, config)
    assert (got.aligned.tolist(), got.exponent.tolist()) == ([[1] * 4], [-133])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_entries_fit_and_exponents_are_least(rng, name):
    """Every (D, g, table_bits): nothing saturates, no width is exceeded, no bit is wasted."""
    fmt = ACTIVATIONS[name]
    for (d, g), t in itertools.product([*((2, g) for g in range(2, 7)), (3, 2)], range(4, 17)):
        config = TensorCoreConfig(
            m=1, n=1, table_digits=d, lookup_group=g, groups_per_step=3, table_bits=t, block=6 * g,
            activations=(name,),
        )  # fmt: skip
        rows = [random_activations(rng, fmt, 2, 6 * g, kind) for kind in KINDS if kind != "special"]
        activations = np.concatenate(rows)
        if isinstance(fmt, FloatFormat):
            peaks = np.abs(random_activations(rng, fmt, 8, 1, "bits"))
            activations = np.concatenate([activations, np.tile(peaks, (1, 6 * g))])
        aligned, exponent, nonfinite = golden.precompute(activations, fmt, config)
        assert not nonfinite.any()
        assert (np.abs(aligned) <= 1 << (config.aligned_bits - 1)).all()
        assert (np.abs(exponent) < 1 << (config.exponent_bits - 1)).all()
        low, high = config.exponent_range(fmt)
        assert low <= exponent.min() and exponent.max() <= high
        tables = golden.table(aligned, config)
        limit = 1 << (t - 1)
        assert -limit <= tables.entries.min() and tables.entries.max() < limit
        assert ((tables.odd == 0) | (tables.odd == 1)).all()
        sums = golden.activation_sum(tables, config)
        assert np.array_equal(sums, aligned.sum(axis=1))
        assert (np.abs(sums) < 1 << (config.sum_bits - 1)).all()
        if config.exact(fmt):
            assert not exponent.any()
            continue
        groups = np.abs(aligned).reshape(len(aligned), -1, g).sum(axis=2).max(axis=1)
        assert (2 * groups < config.doubled_peak_limit + g).all()
        sums = np.abs(activations.astype(np.float64)).reshape(len(aligned), -1, g).sum(axis=2)
        # Rounding magnitudes up raises a peak by less than g units in the last place.
        loose = 1 + g * 2.0 ** (1 - fmt.significand_bits)
        finer = np.ldexp(sums.max(axis=1) * loose, 2 - exponent)
        assert ((exponent == low) | (finer >= config.doubled_peak_limit)).all()
        assert high == low or (exponent > low).any()
        assert tables.entries.max() > limit / 2 - 1


def test_table_by_hand():
    config = TensorCoreConfig(m=1, n=1, lookup_group=3, block=6, table_bits=12)
    aligned = np.array([[1, 4, 10, 0, 0, 6]])
    # Sums 10 -1 -4, 10 +1 -4, 10 -1 +4, 10 +1 +4: all odd; 6: even.
    tables = golden.table(aligned, config)
    assert tables.entries.tolist() == [[[2, 3, 6, 7], [3, 3, 3, 3]]]
    assert tables.odd.tolist() == [[1, 0]]
    assert golden.activation_sum(tables, config).tolist() == [21]
    tables = golden.table(-aligned, config)
    assert tables.entries.tolist() == [[[-3, -4, -7, -8], [-3, -3, -3, -3]]]
    assert tables.odd.tolist() == [[1, 0]]
    assert golden.activation_sum(tables, config).tolist() == [-21]


def test_table_of_pairs_by_hand():
    config = TensorCoreConfig(m=1, n=1, lookup_group=2, block=4, table_bits=12)
    aligned = np.array([[3, -10, 0, 5]])
    tables = golden.table(aligned, config)  # x0, x1, x0 + x1
    assert tables.entries.tolist() == [[[3, -10, -7], [0, 5, 5]]]
    assert not tables.odd.any()
    assert golden.activation_sum(tables, config).tolist() == [-2]
    digits = np.array([[[-1, -1, 1, -1], [1, 1, -1, 1]]], np.int8)
    looked_up = golden.lookup(tables, digits, False, config)
    assert looked_up.psum.tolist() == [[0, -2]] and looked_up.base.tolist() == [2]
    assert looked_up.total.tolist() == [[7 - 5, -7 + 5]]


def test_ternary_table_by_hand():
    config = TensorCoreConfig(m=1, n=1, table_digits=3, lookup_group=2, groups_per_step=3, block=6)
    aligned = np.array([[2, 10, 0, 5, -2, 3]])
    tables = golden.table(aligned, config)  # d0, d1 - d0, d1, d1 + d0
    assert tables.entries.tolist() == [[[2, 8, 10, 12], [0, 5, 5, 5], [-2, 5, 3, 1]]]
    assert not tables.odd.any()
    assert golden.activation_sum(tables, config).tolist() == [18]


@pytest.mark.parametrize(("d", "g"), [*((2, g) for g in range(2, 7)), (3, 2)])
@pytest.mark.parametrize("equal", [False, True])
def test_lookup_is_a_sum_of_signed_activations(rng, d, g, equal):
    config = TensorCoreConfig(
        m=1, n=1, table_digits=d, lookup_group=g, groups_per_step=3, block=6 * g,
        table_bits=16,
    )  # fmt: skip
    aligned = rng.integers(-1000, 1000, (5, 6 * g))
    digits = rng.choice([-1, 1] if d == 2 else [-1, 0, 1], (3, 7, 6 * g)).astype(np.int8)
    total = golden.lookup(golden.table(aligned, config), digits, equal, config).total
    weights = np.array([1, 1, 1] if equal else [4, 2, 1])[:, None, None]
    assert np.array_equal(total, aligned @ (weights * digits).sum(axis=0).T)
    assert total.any()


def test_lookup_refuses_other_groups():
    config = preset("tiny")
    tables = golden.Tables(np.ones((1, 2, 4), int), np.ones((1, 2), int))
    for length in (9, 7):
        digits = np.ones((1, 1, length), np.int8)
        with pytest.raises(
            ValueError, match=rf"^entries have shape .* for digits \(1, 1, {length}"
        ):
            golden.lookup(tables, digits, False, config)


# The whole product.


def share_of_bound(got, bound, exact):
    """The largest error as a share of its bound, which it never exceeds."""
    largest = Fraction(0)
    for at in np.ndindex(got.shape):
        value = exact[at[0]][at[1]]
        assert (value is None) == bool(np.isnan(got[at]))
        if value is not None and np.isfinite(got[at]):
            share = abs(Fraction(float(got[at])) - value) / Fraction(float(bound[at]))
            assert share <= 1
            largest = max(largest, share)
    return largest


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("ternary", [False, True])
def test_core_equals_the_oracle(rng, name, ternary):
    """Every format of activations and outputs, every kind of weights; and the bound holds."""
    fmt = ACTIVATIONS[name]
    seen = {output: [] for output in ALL_OUTPUTS}
    closest = Fraction(0)
    for index, (weights_kind, scales) in enumerate(itertools.product(WEIGHTS, SCALES)):
        kind = KINDS[index % len(KINDS)]
        config = random_config(rng, (name, "fp16") if name == "int8" else (name,), ternary)
        m, n, k = (int(rng.integers(1, high)) for high in (4, 4, 60))
        group = int(rng.integers(4, 129))
        weights = random_weights(rng, weights_kind, n, k, group, config, scales)
        activations = random_activations(rng, fmt, m, k, kind)
        outputs = list(ALL_OUTPUTS[:3])
        simple = len(weights.terms(config)) == 1 and weights.terms(config)[0].offsets is None
        if simple and config.exact(fmt):
            outputs.append("int32")
        for output in outputs:
            got = golden.core(activations, weights, config, output, name)
            want = oracle.specified(activations, weights, config, output, name)
            assert codes_of(got, output) == want
            seen[output].append(np.abs(got.astype(np.float64)).ravel())
        output = outputs[index % 3]
        got = golden.core(activations, weights, config, output, name)
        bound = golden.error_bound(activations, weights, config, output, name)
        closest = max(closest, share_of_bound(got, bound, oracle.exact(activations, weights)))
    assert closest > Fraction(1, 20)  # a bound, and not just a large number
    if isinstance(fmt, FloatFormat):
        assert np.isnan(np.concatenate(seen["fp32"])).any()
    for output, tiny in (("fp32", 2.0**-126), ("bf16", 2.0**-126), ("fp16", 2.0**-14)):
        values = np.concatenate(seen[output])
        assert np.isinf(values).any()
        assert ((values > 0) & (values < tiny)).any()
        assert ((values >= tiny) & (values < np.inf)).sum() > 10
    if name in ("int4", "int8"):
        assert np.concatenate(seen["int32"]).any()


@pytest.mark.parametrize("name", ["int8", "e4m3", "bf16"])
def test_a_truncating_core_equals_the_oracle(rng, name):
    closest, differ = Fraction(0), 0
    for weights_kind, scales in itertools.product(WEIGHTS, SCALES):
        config = dataclasses.replace(random_config(rng, (name,)), outputs=("fp32",))
        cut = dataclasses.replace(config, truncate=True)
        m, n, k, group = (int(rng.integers(1, high)) for high in (4, 4, 60, 129))
        weights = random_weights(rng, weights_kind, n, k, group, config, scales)
        activations = random_activations(rng, ACTIVATIONS[name], m, k, "normal")
        got = golden.core(activations, weights, cut, "fp32", name)
        assert codes_of(got, "fp32") == oracle.specified(activations, weights, cut, "fp32", name)
        differ += (got != golden.core(activations, weights, config, "fp32", name)).any()
        bound = golden.error_bound(activations, weights, cut, "fp32", name)
        closest = max(closest, share_of_bound(got, bound, oracle.exact(activations, weights)))
    assert closest > Fraction(1, 20)
    assert differ > 5


@pytest.mark.parametrize("name", ["int4", "int8"])
@pytest.mark.parametrize("kind", WEIGHTS[:-1])
def test_exact_formats_are_exact(rng, name, kind):
    fmt = ACTIVATIONS[name]
    for group, ternary in itertools.product((4, 13, 32, 128), (False, True)):
        config = TensorCoreConfig(
            m=1, n=1, table_digits=2 + ternary, lookup_group=2, groups_per_step=3, block=24,
            table_bits=9, activations=(name, "fp16"),
        )  # fmt: skip
        weights = random_weights(rng, kind, 5, 40, group, config)
        ones = np.ones_like(weights.scales)
        activations = random_activations(rng, fmt, 3, 40, str(rng.choice(KINDS)))
        index = np.arange(40) // group
        if isinstance(weights, AffineWeights):
            weights = AffineWeights(weights.codes, weights.bits, ones, weights.zeros, group)
            doubled = 2 * weights.codes.astype(np.int64)
            doubled -= (2 * weights.zeros).astype(np.int64)[:, index]
        else:
            weights = TernaryWeights(weights.ternary, ones, group)
            doubled = 2 * weights.ternary.astype(np.int64)
        product = activations.astype(np.int64) @ doubled.T
        assert product.any()
        assert np.array_equal(golden.core(activations, weights, config, "int32", name), product)
        # Below 2^24, so FP32 holds it; in units of s/2.
        got = golden.core(activations, weights, config, activation_type=name)
        assert np.array_equal(got, product / 2)


def test_raw_of_signs_is_the_plain_product(rng):
    codes = rng.integers(0, 2, (3, 9), dtype=np.uint8)
    ones = np.ones((3, 1), np.float32)
    weights = AffineWeights(codes, 1, ones, ones / 2, 9)
    activations = random_activations(rng, INT8, 2, 9, "normal")
    expected = activations.astype(int) @ (2 * codes.astype(int) - 1).T
    assert golden.core(activations, weights, preset("tiny"), "int32").tolist() == expected.tolist()


def test_presets_on_larger_shapes(rng):
    """Tiles do not exist for the golden model: one result for every preset."""
    activations = random_activations(rng, INT8, 17, 300, "normal")
    codes = rng.integers(0, 16, (70, 300), dtype=np.uint8)
    ones = np.ones((70, 3), np.float32)
    weights = AffineWeights(codes, 4, ones, rng.integers(0, 31, (70, 3)) / 2, 128)
    exact = activations.astype(float) @ weights.real().T
    for name in ("paper", "tiny", "wide", "ternary"):
        got = golden.core(activations, weights, preset(name), "int32")
        assert np.array_equal(got, 2 * exact)


def test_int16_is_int8_where_they_meet(rng):
    """No format knows another: the same numbers give the same sums, exact or not."""
    config = TensorCoreConfig(m=1, n=1, table_bits=16, block=16, activations=("int8", "int16"))
    activations = random_activations(rng, INT8, 3, 40, "normal")
    weights = random_weights(rng, 4, 3, 40, 16, config)
    wide = golden.core(activations.astype(np.int16), weights, config)
    assert np.array_equal(golden.core(activations, weights, config), wide)
    assert config.exact(INT8) and not config.exact(INT16)


def test_every_nan_is_alike():
    codes = np.array([[0x7F810000, 0, 0], [0xFFFF0000, 0, 0], [0x3F800000, 0, 0]], np.uint32)
    config = TensorCoreConfig(m=1, n=1, activations=("bf16",))
    weights = TernaryWeights(np.ones((1, 3), np.int8), np.ones((1, 1), np.float32), 3)
    got = golden.core(codes.view(np.float32), weights, config, activation_type="bf16")
    assert got.view(np.uint32).tolist() == [[0x7FC00000], [0x7FC00000], [0x3F800000]]


def test_terms_add_up(rng):
    """Four bits in passes of two are the four bits, but for one more rounding."""
    whole = TensorCoreConfig(m=1, n=1, weight_bits=4)
    halves = TensorCoreConfig(m=1, n=1, weight_bits=2)
    weights = random_weights(rng, 4, 3, 40, 16, whole, "plain")
    activations = random_activations(rng, INT8, 3, 40, "normal")
    difference = golden.core(activations, weights, whole) - golden.core(
        activations, weights, halves
    )
    assert np.abs(difference).max() <= 1e-6 * 40 * 128 * 64
    assert len(weights.terms(halves)) == 2


def test_the_oracle_sees_a_wrong_golden(rng, monkeypatch):
    """Any one of these slips in the golden model shows in the comparisons above."""
    config = TensorCoreConfig(
        m=1, n=1, lookup_group=2, table_bits=5, block=4, activations=("fp16",),
        outputs=("fp32", "bf16"), weight_bits=2,
    )  # fmt: skip
    weights = random_weights(rng, 4, 3, 40, 16, config)
    while weights.offsets is None:
        weights = random_weights(rng, 4, 3, 40, 16, config)
    activations = random_activations(rng, FP16, 3, 40, "normal")
    want = oracle.specified(activations, weights, config, "bf16")

    def same():
        return codes_of(golden.core(activations, weights, config, "bf16"), "bf16") == want

    assert same()
    honest = {name: getattr(golden, name) for name in ("_exponent", "table", "rescale")}

    def truncated(aligned, config):
        return honest["table"](aligned - 1, config)

    def coarser(peak, fmt, config):
        return honest["_exponent"](peak, fmt, config) + 1

    def rounded_twice(acc, *arguments):
        result = honest["rescale"](acc, *arguments[:-2], None, arguments[-1])
        return rounded(result, BF16).astype(np.float32)

    for name, slip in (("table", truncated), ("_exponent", coarser), ("rescale", rounded_twice)):
        with monkeypatch.context() as patch:
            patch.setattr(golden, name, slip)
            assert not same(), name


def test_bound_by_hand():
    # Two segments. Peak 4 (g = 4 ones): e = -6 for sums of 10 bits.
    config = TensorCoreConfig(m=1, n=1, block=8)
    activations = np.ones((1, 16), np.float16)
    weights = TernaryWeights(np.ones((1, 16), np.int8), np.full((1, 1), 3, np.float32), 16)
    exponent = int(golden.precompute(activations[:, :8], FP16, config).exponent[0])
    assert exponent == -6
    alignment = 16 * 3 * 2.0**-7
    rounding = 2.0 ** (4 - 24) + 2.0 ** (5 - 24)  # half units of 24 and 48
    bound = float(golden.error_bound(activations, weights, config)[0, 0])
    assert bound == (alignment + rounding) * (1 + 2.0**-30)
    assert golden.core(activations, weights, config).tolist() == [[48]]
    # 1 - 3 as a plane and an offset.
    codes, ones = np.ones((1, 16), np.uint8), np.ones((1, 1), np.float32)
    weights = AffineWeights(codes, 1, 2 * ones, np.full((1, 1), 0.5), 16, -3 * ones)
    alignment = 16 * 2 * 2.0**-7
    rounding = 2.0 ** (3 - 24) + 2.0 ** (4 - 24) + 2.0 ** (3 - 24) + 2.0 ** (5 - 24)
    bound = float(golden.error_bound(activations, weights, config)[0, 0])
    assert bound == (alignment + rounding) * (1 + 2.0**-30)
    assert golden.core(activations, weights, config).tolist() == [[-32]]


def test_bound_is_nothing_where_nothing_is_rounded():
    config = TensorCoreConfig(m=1, n=1, activations=("int8", "int16", "fp16"), table_bits=12)
    weights = TernaryWeights(np.ones((1, 8), np.int8), np.ones((1, 1), np.float32), 8)
    small = np.full((1, 8), 100, np.int16)  # units of 1
    assert golden.error_bound(small, weights, config)[0, 0] == 2.0 ** (10 - 24 - 1) * (1 + 2**-30)
    assert golden.error_bound(20 * small, weights, config)[0, 0] > 1
    raw = golden.error_bound(small.astype(np.int8), weights, config, "int32")
    assert raw.tolist() == [[0]]


def test_bound_of_special_results():
    config = preset("paper")
    activations = np.array([[60000, 1], [np.inf, 1], [0, 0]], np.float16)
    weights = TernaryWeights(np.ones((1, 2), np.int8), np.full((1, 1), 3e38, np.float32), 2)
    for output in ("fp32", "fp16", "bf16"):
        bound = golden.error_bound(activations, weights, config, output)
        assert bound[0, 0] == np.inf
        assert np.isnan(bound[1, 0])
        assert 0 < bound[2, 0] < np.inf
