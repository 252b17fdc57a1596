"""The engine in RTL against the functional simulator: state, memory and counters, byte for byte."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lutcore import AffineWeights, pack
from lutcore.engine.engine import Engine
from lutcore.lmma import Cause, assemble
from lutcore.lmma.gemm import compile_gemm
from lutcore.lmma.listing import total
from lutverif import golden, lmma
from lutverif.bench import stimulus
from lutverif.engine import EngineModel
from lutverif.engine_soak import SMALL, compared
from lutverif.native import HarnessError

LMMA = "lmma.m2n4k2.int8.w2.fp32.fp32"


@pytest.fixture(scope="module")
def compiled():
    with EngineModel(SMALL) as model:
        yield model


@pytest.fixture
def model(compiled):
    compiled.reset()
    return compiled


def test_random_programs(model):
    stopped = compared(model, seed=3, count=2000)
    assert stopped["halt"] > 1000
    assert set(stopped) == {cause.name.lower() for cause in Cause if cause is not Cause.BUS}


def test_random_programs_without_addends():
    """They are refused, and all else is as before."""
    core = replace(SMALL.core, addends=False)
    with EngineModel(replace(SMALL, core=core)) as model:
        stopped = compared(model, seed=4, count=20)
        assert stopped["halt"] > 5
        load, lmma = "load.c c0, r0, rows=1, columns=1", f"{LMMA} a0, w0, s0, d0, steps=1, first"
        for source in (load, f"{lmma}, addend=c1"):
            model.reset()
            status, _ = model.execute(assemble(source), np.zeros(64, np.uint8))
            assert status == (Cause.FORMAT, 0)


def gemm(m, n, k, group):
    rng = np.random.default_rng(4)
    shape = (n, -(-k // group))
    scales, zeros = rng.uniform(0.5, 2, shape).astype(np.float32), np.full(shape, 1.5)
    codes = rng.integers(0, 4, (n, k)).astype(np.uint8)
    weights = AffineWeights(codes, 2, scales, zeros, group)
    activations = rng.integers(-128, 128, (m, k)).astype(np.int8)
    return activations, weights


@pytest.mark.parametrize(
    ("shape", "output"),
    [((5, 9, 30, 8), "fp32"), ((1, 6, 64, 12), "int32"), ((3, 9, 90, 30), "fp32")],
)
def test_a_compiled_gemm(model, shape, output):
    activations, weights = gemm(*shape)
    found = compile_gemm(activations, pack(weights, SMALL.core), SMALL, "int8", output)
    expected = golden.core(activations, weights, SMALL.core, output)
    for stall, latency in ((0, 0), (100, 30)):
        memory = found.memory.copy()
        status, counters = model.execute(found.program, memory, stall=stall, latency=latency)
        assert status == (Cause.HALT, len(found.program) - 1)
        assert (found.results(memory) == expected).all()
        cost = total(found.program, SMALL)
        assert counters["words_read"] + counters["words_written"] == cost.words
        assert counters["cycles"] > max(cost)


@pytest.mark.parametrize(
    ("shape", "output"), [((5, 9, 30, 8), "fp32"), ((3, 11, 40, 20), "int32")]
)  # fmt: skip
def test_a_compiled_gemm_with_addends(model, shape, output):
    activations, weights = gemm(*shape)
    addends = stimulus.addends(np.random.default_rng(5), shape[:2], output)
    packed = pack(weights, SMALL.core)
    found = compile_gemm(activations, packed, SMALL, "int8", output, addends)
    expected = golden.core(activations, weights, SMALL.core, output, addends=addends)
    for stall, latency in ((0, 0), (100, 30)):
        memory = found.memory.copy()
        status, _ = model.execute(found.program, memory, stall=stall, latency=latency)
        assert status == (Cause.HALT, len(found.program) - 1)
        assert found.results(memory).tobytes() == expected.tobytes()


LOADS = """
    load.a.8 a0, r0, rows=2, steps=4, stride=16
    load.w w0, r0, beats=8
    load.s s0, r0, beats=4
"""


def test_state_stays_from_program_to_program(model):
    """As in the simulator: buffers, registers and accumulators; loops do not."""
    sources = [
        f"{LOADS} set r1, 64\n loop 2\n {LMMA} a0, w0, s0, d0, steps=2, first\n halt",
        f"{LMMA} a0, w0, s0, d0, steps=2, last\n"
        "store.d.32 d0, r1, rows=2, columns=4, stride=16\n halt",
        "end",
    ]
    memory = np.arange(128).astype(np.uint8)
    machine = lmma.Machine(SMALL, memory.copy())
    for source, cause in zip(sources, (Cause.HALT, Cause.HALT, Cause.NESTING), strict=True):
        program = assemble(source)
        status, _ = model.execute(program, memory)
        assert status == machine.run(program)
        assert status.cause is cause
        assert (memory == machine.memory).all()
    assert (memory != np.arange(128)).any()


def test_a_store_is_read_by_the_next_load(model):
    """Through memory, without a fence, whatever memory's latency."""
    source = f"""{LOADS} set r1, 64
        set r2, 64
        {LMMA} a0, w0, s0, d0, steps=4, first, last
        store.d.32 d0, r1, rows=2, columns=4, stride=16, next=64
        load.a.8 a1, r2, rows=2, steps=4, stride=8
        {LMMA} a1, w0, s0, d1, steps=4, first, last, rewind_w, rewind_s
        store.d.32 d1, r1, rows=2, columns=4, stride=16
        halt"""
    start = np.arange(256).astype(np.uint8)
    expected = start.copy()
    lmma.run(assemble(source), expected, SMALL)
    for latency in (0, 3, 50):
        memory = start.copy()
        model.reset()
        model.execute(assemble(source), memory, latency=latency)
        assert (memory == expected).all()


@pytest.mark.parametrize("load", ["load.a.8 a0, r2, rows=2, steps=16", "load.w w0, r2, beats=32",
                                  "load.s s0, r2, beats=8",
                                  "load.c c1, r2, rows=2, columns=4, stride=16"])  # fmt: skip
def test_a_load_waits_until_its_slot_has_been_read(model, load):
    """With two lmmas that have not begun to read it."""
    whole = "rewind_a, rewind_w, rewind_s"
    source = f"""
        load.a.8 a0, r0, rows=2, steps=16, stride=32
        load.w w0, r0, beats=32
        load.s s0, r0, beats=8
        load.c c1, r0, rows=2, columns=4, stride=16
        set r1, 128
        set r2, 64
        {LMMA} a0, w0, s0, d0, steps=4, passes=4, first, {whole}
        {LMMA} a0, w0, s0, d0, steps=4, passes=4, {whole}
        {LMMA} a0, w0, s0, d0, steps=4, passes=1, first, addend=c1, last, {whole}
        {load}
        store.d.32 d0, r1, rows=2, columns=4, stride=16
        halt"""
    start = np.arange(256).astype(np.uint8)
    expected = start.copy()
    assert lmma.run(assemble(source), expected, SMALL)[0] == (Cause.HALT, 11)
    memory = start.copy()
    model.execute(assemble(source), memory)
    assert (memory == expected).all()


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 3), (2, 1), (2, 3)])
def test_what_a_tile_of_addends_lacks_is_zero(model, rows, columns):
    """Whatever the slot had before, and whatever follows in memory."""
    source = f"""{LOADS}
        set r1, 128
        load.c c0, r0, rows=2, columns=4, stride=16
        load.c c0, r0, rows={rows}, columns={columns}, stride=16
        {LMMA} a0, w0, s0, d0, steps=1, first, addend=c0, last
        store.d.32 d0, r1, rows=2, columns=4, stride=16
        halt"""
    start = np.arange(1, 257).astype(np.uint8)
    expected, memory = start.copy(), start.copy()
    lmma.run(assemble(source), expected, SMALL)
    model.execute(assemble(source), memory)
    assert (memory == expected).all() and (memory != start).any()


@pytest.mark.parametrize(
    ("bad", "at"), [(16, 0), (128, 6), (1024, None)], ids=["read", "write", "elsewhere"]
)
def test_errors_of_memory_stop_the_engine(model, bad, at):
    """With the index of the access; until it is reset."""
    source = f"""{LOADS} set r1, 128
        fence
        {LMMA} a0, w0, s0, d0, steps=4, first, last
        store.d.32 d0, r1, rows=2, columns=4, stride=16
        fence
        halt"""
    memory = np.arange(256).astype(np.uint8)
    status, _ = model.execute(assemble(source), memory, bad=bad)
    if at is None:
        assert status == (Cause.HALT, 8)
        return
    assert status == (Cause.BUS, at)
    assert model.execute(assemble("halt"), memory)[0] == (Cause.BUS, at)
    model.reset()
    assert model.execute(assemble("halt"), memory)[0] == (Cause.HALT, 0)


def test_the_harness_sees_an_engine_that_does_not_stop(model):
    program = assemble("loop 1000\nfence\nend\nhalt")
    with pytest.raises(HarnessError, match=r"^the engine did not end, in cycle 499$"):
        model.execute(program, np.zeros(64, np.uint8), limit=500)


def test_every_unit_is_one_module():
    names = [unit.module_name for unit in Engine(SMALL).definitions()]
    assert len(set(names)) == len(names)
    assert names[-1] == "lut_engine"
