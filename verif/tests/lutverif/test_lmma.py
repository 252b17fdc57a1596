"""The functional simulator: compiled GEMMs against the golden model, and every cause of refusal."""

# Operands of any kind, as the tests of the driver make them.
# pyright: reportArgumentType=false

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lutcore import PRESETS, AffineWeights, PlaneWeights, TernaryWeights, pack
from lutcore.errors import InputError
from lutcore.formats import ACTIVATIONS
from lutcore.lmma import Cause, EngineConfig, assemble
from lutcore.lmma.gemm import compile_gemm
from lutcore.lmma.listing import total
from lutcore.numbers import decode
from lutverif import golden, lmma
from lutverif.bench import stimulus
from lutverif.lmma_random import LIMIT, program, spoilt

TINY = EngineConfig(core=PRESETS["tiny"])
LMMA = "lmma.m2n4k3.int8.w2.fp32.fp32"
LOADS = """
    load.a.8 a0, r0, rows=2, steps=4, stride=16
    load.w w0, r0, beats=8
    load.s s0, r0, beats=4
"""


def random_weights(rng, config, kind, n, k, group):
    shape = (n, -(-k // group))
    scales = (rng.standard_normal(shape) * 2.0 ** rng.integers(-3, 3, shape)).astype(np.float16)
    scales = scales.astype(np.float32)  # a few cores have no others
    if kind == "ternary":
        return TernaryWeights(rng.integers(-1, 2, (n, k)).astype(np.int8), scales, group)
    codes = rng.integers(0, 1 << kind, (n, k)).astype(np.uint8)
    zeros = np.full(shape, ((1 << kind) - 1) / 2)
    if config.core.zero_bits >= 10:
        zeros = rng.integers(0, 2 << kind, shape) / 2
    offsets = scales[::-1].copy() if kind == 3 else None
    return AffineWeights(codes, kind, scales, zeros, group, offsets)


def random_activations(rng, fmt, m, k):
    codes = rng.integers(0, 1 << ACTIVATIONS[fmt].bits, (m, k))
    if fmt == "fp16":
        codes = (rng.standard_normal((m, k)) * 2.0 ** rng.integers(-9, 9)).astype(np.float16)
        codes = codes.view(np.uint16)
    return decode(codes, ACTIVATIONS[fmt]).astype(np.float32)


CASES = [
    # What stays in a buffer: weights; activations, in one chunk and in many; nothing.
    ("paper", 17, 70, 300, 4, 32, "fp16", "fp16", {}),
    ("paper", 1, 200, 300, 4, 32, "bf16", "bf16", {}),
    ("paper", 2, 130, 300, "ternary", 300, "e4m3", "fp32", {"w_beats": 128, "s_beats": 64}),
    ("paper", 5, 70, 300, 4, 64, "int4", "int32", {"w_beats": 128, "a_steps": 32}),
    ("tiny", 5, 10, 40, 3, 10, "e5m2", "fp32", {}),
    ("tiny", 5, 9, 37, 2, 10, "int16", "bf16", {"w_beats": 32, "a_steps": 6, "s_beats": 6}),
    ("tiny", 3, 5, 40, 8, 10, "int4", "int32", {"word_bytes": 64}),
    ("ternary", 7, 40, 100, "ternary", 32, "int8", "int32", {}),
    ("ternary", 3, 20, 100, 4, 32, "int8", "fp32", {"word_bytes": 4}),
    ("wide", 4, 20, 100, 4, 32, "int8", "fp32", {}),
    # Terms: several passes of a segment, with and without the same shape.
    ("dense8", 3, 20, 200, 4, 64, "int8", "fp32", {}),
    ("dense8", 3, 20, 200, 3, 96, "int8", "fp32", {"w_beats": 20, "a_steps": 4}),
    ("dense", 3, 70, 200, 4, 64, "fp16", "fp32", {}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda c: "-".join(str(x) for x in c[:8]))
def test_a_compiled_gemm_gives_the_golden_result(rng, case):
    preset, m, n, k, kind, group, fmt, output, changed = case
    config = EngineConfig(core=PRESETS[preset], **changed)
    weights = random_weights(rng, config, kind, n, k, group)
    activations = random_activations(rng, fmt, m, k)
    expected = golden.core(activations, weights, config.core, output, fmt)
    packed = pack(weights, config.core)
    found = compile_gemm(activations, packed, config, fmt, output)
    memory = found.memory.copy()
    status, counters = lmma.run(found.program, memory, config)
    assert status == (Cause.HALT, len(found.program) - 1)
    assert bits(found.results(memory)) == bits(expected)
    # Operands are as they were, and the listing counts what was executed.
    at = found.results_at
    assert (memory[:at] == found.memory[:at]).all()
    cost = total(found.program, config)
    assert cost.words == counters.words_read + counters.words_written
    assert cost.lanes >= counters.steps
    tiles = -(-m // config.core.m) * -(-n // config.core.n)
    assert counters.tiles == tiles and counters.passes == tiles * len(packed.passes)


def bits(values):
    return values.view(f"u{values.itemsize}").tolist()


ADDENDS = [
    # Weights stay, activations stay in one chunk, both stream in chunks; tiles cut off everywhere.
    ("tiny", 5, 10, 40, 3, 10, "e5m2", "fp32", {}),
    ("tiny", 5, 9, 37, 2, 10, "int16", "bf16", {"w_beats": 32, "a_steps": 6, "s_beats": 6}),
    ("tiny", 3, 5, 40, 8, 10, "int4", "int32", {"word_bytes": 64}),
    ("ternary", 3, 20, 100, 4, 32, "int8", "fp32", {"word_bytes": 4}),
    ("dense8", 3, 20, 200, 4, 64, "int8", "fp32", {}),
]  # fmt: skip


@pytest.mark.parametrize("case", ADDENDS, ids=lambda c: "-".join(str(x) for x in c[:8]))
def test_a_compiled_gemm_with_addends(rng, case):
    preset, m, n, k, kind, group, fmt, output, changed = case
    config = EngineConfig(core=replace(PRESETS[preset], addends=True), **changed)
    weights = random_weights(rng, config, kind, n, k, group)
    activations = random_activations(rng, fmt, m, k)
    addends = stimulus.addends(rng, (m, n), output)
    expected = golden.core(activations, weights, config.core, output, fmt, addends)
    plain = golden.core(activations, weights, config.core, output, fmt)
    assert bits(expected) != bits(plain)
    packed = pack(weights, config.core)
    found = compile_gemm(activations, packed, config, fmt, output, addends)
    memory = found.memory.copy()
    status, counters = lmma.run(found.program, memory, config)
    assert status == (Cause.HALT, len(found.program) - 1)
    assert bits(found.results(memory)) == bits(expected)
    assert (memory[: found.results_at] == found.memory[: found.results_at]).all()
    assert total(found.program, config).words == counters.words_read + counters.words_written


def test_terms_of_different_shapes(rng):
    """One of two planes, one of one with an offset, in every segment."""
    core = PRESETS["tiny"]
    config = EngineConfig(core=core)
    parts = random_weights(rng, config, 3, 6, 40, 10).terms(replace(core, weight_bits=2))
    weights = PlaneWeights(tuple(parts), 10)
    activations = random_activations(rng, "int8", 3, 40)
    found = compile_gemm(activations, pack(weights, core), config, "int8")
    memory = found.memory.copy()
    status, _ = lmma.run(found.program, memory, config)
    assert status.cause is Cause.HALT
    assert bits(found.results(memory)) == bits(
        golden.core(activations, weights, core, "fp32", "int8")
    )


def test_a_program_that_is_too_long(rng):
    config = EngineConfig(core=PRESETS["tiny"], program_words=20)
    packed = pack(random_weights(rng, config, 2, 9, 37, 10), config.core)
    with pytest.raises(InputError, match=r"^the program has \d+ instructions, but program_words"):
        compile_gemm(random_activations(rng, "int8", 5, 37), packed, config, "int8")


STARTED = EngineConfig(core=replace(PRESETS["tiny"], addends=True))


def test_a_tile_of_addends_by_hand():
    """With activations of zero the results are the addends; what the tile lacks is zero, and
    what an earlier load left is gone."""
    whole = "rewind_a, rewind_w, rewind_s"
    source = f"""
        load.w w0, r0, beats=2
        load.a.8 a0, r0, rows=2, steps=1
        set r1, 64
        load.s s0, r1, beats=2
        set r2, 128
        load.c c1, r2, rows=2, columns=4, stride=16
        load.c c1, r2, rows=1, columns=3, next=-16
        {LMMA} a0, w0, s0, d0, steps=1, first, addend=c1, last
        {LMMA} a0, w0, s0, d1, steps=1, first, addend=c1, last, {whole}
        store.d.32 d0, r2, rows=2, columns=4, stride=16, next=32
        store.d.32 d1, r2, rows=2, columns=4, stride=16
        halt"""
    memory = np.zeros(256, np.uint8)
    memory[128:160] = np.arange(1, 9, dtype=np.float32).view(np.uint8)
    status, counters = lmma.run(assemble(source, STARTED), memory, STARTED)
    assert status == (Cause.HALT, 11)
    tile = [1, 2, 3, 0, 0, 0, 0, 0]
    assert memory[112:176].view(np.float32).tolist() == [*tile, *tile]
    assert counters.words_read == 1 + 2 + 2 + 2 + 1


@pytest.mark.parametrize(
    ("source", "config", "cause", "index"),
    [
        (f"{LOADS}{LMMA} a0, w0, s0, d0, steps=4, first, addend=c0", STARTED, Cause.OPERAND, 3),
        (f"load.c c1, r0, rows=1, columns=1\n{LOADS}"
         f"{LMMA} a0, w0, s0, d0, steps=4, first, addend=c0", STARTED, Cause.OPERAND, 4),
        (f"load.c c0, r0, rows=1, columns=1\n{LOADS}"
         f"{LMMA} a0, w0, s0, d0, steps=4, first, addend=c0\nhalt", STARTED, Cause.HALT, 5),
        (f"load.c c0, r0, rows=1, columns=1\n{LOADS}"
         f"{LMMA} a0, w0, s0, d0, steps=4, addend=c0", STARTED, Cause.FORMAT, 4),
        (f"{LOADS}{LMMA} a0, w0, s0, d0, steps=4, first, addend=c0", TINY, Cause.FORMAT, 3),
        ("load.c c0, r0, rows=1, columns=1", TINY, Cause.FORMAT, 0),
        ("load.c c0, r0, rows=3, columns=1", STARTED, Cause.RANGE, 0),
        ("load.c c0, r0, rows=1, columns=5", STARTED, Cause.RANGE, 0),
        ("load.c c0, r0, rows=2, columns=4, stride=256", STARTED, Cause.ADDRESS, 0),
        ("load.c c0, r0, rows=2, columns=4, stride=240\nhalt", STARTED, Cause.HALT, 1),
        ("add r0, 8\nload.c c0, r0, rows=1, columns=1", STARTED, Cause.MISALIGNED, 1),
    ],
)  # fmt: skip
def test_causes_of_addends(source, config, cause, index):
    assert run(source, config=config)[0] == (cause, index)


def run(source, memory=256, config=TINY):
    image = np.arange(memory, dtype=np.uint64).astype(np.uint8)
    status, counters = lmma.run(assemble(source), image, config)
    return status, counters, image


@pytest.mark.parametrize(
    ("source", "cause", "index"),
    [
        ("fence\nhalt\n.word 0", Cause.HALT, 1),
        ("fence", Cause.FETCH, 1),
        ("fence\n.word 0", Cause.OPCODE, 1),
        (".word 0x8000000000000000000000000000000d", Cause.RESERVED, 0),
        ("lmma.m2n4k2.int8.w2.fp32.fp32 a0, w0, s0, d0, steps=1", Cause.SHAPE, 0),
        ("load.a.8 a0, r0, rows=2, steps=1025", Cause.RANGE, 0),
        ("load.a.8 a0, r0, rows=3, steps=1", Cause.RANGE, 0),
        ("store.d.32 d0, r0, rows=1, columns=5", Cause.RANGE, 0),
        ("set r0, 0x10000000000", Cause.RANGE, 0),
        ("end", Cause.NESTING, 0),
        ("loop 1\nend\nend", Cause.NESTING, 2),
        ("loop 1\nloop 1\nloop 1\nloop 1\nloop 1", Cause.NESTING, 4),
        (f"{LOADS}{LMMA} a0, w0, s0, d0, steps=4", Cause.CHAIN, 3),
        (f"{LOADS}{LMMA} a0, w0, s0, d0, steps=4, first, keep", Cause.CHAIN, 3),
        (f"{LOADS}{LMMA} a0, w0, s0, d0, steps=2, first\n"
         f"{LMMA} a0, w0, s0, d0, steps=1, keep", Cause.CHAIN, 4),
        (f"{LOADS}{LMMA} a0, w0, s0, d0, steps=2, first\n"
         f"{LMMA[:-4]}bf16 a0, w0, s0, d0, steps=2", Cause.CHAIN, 4),
        (f"{LOADS}{LMMA} a0, w0, s0, d0, steps=2, first, last\n"
         f"{LMMA} a0, w0, s0, d0, steps=2", Cause.CHAIN, 4),
        (f"{LOADS}{LMMA} a0, w0, s0, d0, steps=2, first, passes=2\nhalt", Cause.HALT, 4),
        (f"{LOADS}{LMMA} a0, w0, s0, d0, steps=2, first, passes=3", Cause.OPERAND, 3),
        (f"{LOADS}{LMMA} a0, w0, s0, d0, steps=2, first, passes=2\n"
         f"{LMMA} a0, w0, s0, d0, steps=2, rewind_a, rewind_w", Cause.OPERAND, 4),
        (f"{LOADS}{LMMA} a1, w0, s0, d0, steps=2, first", Cause.OPERAND, 3),
        ("store.d.32 d0, r0, rows=1, columns=1", Cause.OPERAND, 0),
        ("store.d.32 d0, r0, rows=1, columns=1, stride=8", Cause.OPERAND, 0),
        ("load.w w0, r0, beats=1, next=8\nload.w w0, r0, beats=1", Cause.MISALIGNED, 1),
        ("add r0, -8\nload.w w0, r0, beats=1", Cause.MISALIGNED, 1),
        ("load.a.8 a0, r0, rows=2, steps=1, stride=8", Cause.MISALIGNED, 0),
        ("load.w w0, r0, beats=129", Cause.ADDRESS, 0),
        ("load.w w0, r0, beats=128\nhalt", Cause.HALT, 1),
        ("add r0, -16\nload.w w0, r0, beats=1", Cause.ADDRESS, 1),
        ("load.a.8 a0, r0, rows=2, steps=1, stride=256", Cause.ADDRESS, 0),
        ("load.a.8 a0, r0, rows=2, steps=1, stride=240\nhalt", Cause.HALT, 1),
        ("set r0, 240\nload.a.16 a0, r0, rows=1, steps=3", Cause.ADDRESS, 1),
    ],
)  # fmt: skip
def test_every_cause_and_its_place(source, cause, index):
    status, counters, memory = run(source)
    assert status == (cause, index)
    assert counters.instructions == index + (cause is Cause.HALT)
    assert (memory == np.arange(256)).all()


TILE = f"""
    set r1, 128
    {LOADS}
    {LMMA} a0, w0, s0, d0, steps=4, first, last
    loop 2
        store.d.32 d0, r1, rows=2, columns=3, stride=16, next=32
    end
"""


def test_memory_is_as_the_instructions_before_left_it():
    status, _, whole = run(TILE + "halt")
    assert status.cause is Cause.HALT
    for fault in ("end", "load.w w0, r0, beats=1024", "store.d.32 d1, r0, rows=1, columns=1"):
        status, _, memory = run(f"{TILE}{fault}\nstore.d.32 d0, r0, rows=1, columns=4\nhalt")
        assert status == (
            {"end": Cause.NESTING, "load": Cause.ADDRESS, "stor": Cause.OPERAND}[fault[:4]],
            8,
        )
        assert (memory == whole).all()


def test_a_store_writes_its_bytes_and_a_later_load_reads_them():
    _, counters, memory = run(TILE + "halt")
    before = np.arange(256)
    written = np.zeros(256, bool)
    for row in range(4):
        written[128 + 16 * row :][:12] = True
    assert (memory == before)[~written].all() and not (memory == before)[written].all()
    assert (memory[128:160] == memory[160:192])[written[128:160]].all()
    assert (counters.words_read, counters.words_written) == (2 + 1 + 3, 4)


def test_registers_wrap():
    machine = lmma.Machine(TINY, np.zeros(64, np.uint8))
    source = "set r2, 0xffffffffff\nadd r2, 3\nadd r3, -1\nhalt"
    assert machine.run(assemble(source)).cause is Cause.HALT
    assert machine.registers[2:4] == [2, (1 << 40) - 1]


def test_memory_is_whole_words():
    with pytest.raises(InputError, match=r"^memory must be a multiple of 16 bytes, not 20 bytes"):
        lmma.Machine(TINY, np.zeros(20, np.uint8))


SMALL = {
    name: EngineConfig(
        core=PRESETS[name],
        a_steps=max(32, PRESETS[name].max_steps),
        w_beats=64,
        s_beats=max(16, 2 * PRESETS[name].column_groups),
    )
    for name in ("tiny", "ternary", "dense8")
}


@pytest.mark.parametrize("name", SMALL)
def test_random_programs(name):
    """Legal ones halt and do things; spoilt ones stop for many causes, always inside themselves."""
    config = SMALL[name]
    tiles, stopped = 0, set()
    for seed in range(4):
        random = np.random.default_rng(seed)
        found = program(random, config)
        memory = found.memory.copy()
        status, counters = lmma.run(found.words, memory, config)
        assert status == (Cause.HALT, len(found.words) - 1)
        assert counters.instructions <= LIMIT
        tiles += counters.tiles
        for _ in range(10):
            bad = spoilt(random, found, config)
            status, counters = lmma.run(bad.words, bad.memory.copy(), config)
            assert status.at <= len(bad.words)
            stopped.add(status.cause)
    assert tiles > 8
    assert {Cause.HALT, Cause.RESERVED, Cause.OPCODE, Cause.RANGE} <= stopped
