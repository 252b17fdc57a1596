"""Bench of `Entries`: the table of one lookup group, against `golden.table`."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import Timer

from lutverif import golden

from . import stimulus
from .payloads import Payloads, join
from .runner import configuration


@cocotb.test()
async def groups_of_every_kind(dut: Any) -> None:
    """Aligned activations as they occur: random, extreme, ties in every entry."""
    config = configuration()
    payloads = Payloads(config)
    rng = np.random.default_rng(4)
    for fmt in config.formats:
        rows = stimulus.activations(rng, fmt, 1500, config.lookup_group)
        aligned = golden.precompute(rows, fmt, config).aligned[:, : config.lookup_group]
        wanted = golden.table(aligned, config)[:, 0]
        for values, want in zip(aligned, wanted, strict=True):
            dut.values.value = join((values, config.aligned_bits))
            await Timer(1, "ns")
            got = int(dut.entries.value)
            assert got == join(payloads.stored(want)), (values, hex(got), want)
