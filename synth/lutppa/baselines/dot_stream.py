"""One fused dot product between two streams, for benches and for files of vectors."""

# ruff: noqa: D102  (ports and elaborate keep the contract that the base class states)
from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from lutcore.export import unit_design
from lutcore.formats import FP32
from lutverif.driver import pack_fields
from lutverif.native import NativeModel, StreamPort

from .dot import FusedDot
from .mac_config import MacConfig, MacUnit
from .mac_operands import Column, Row

__all__ = ["DotStream", "simulate"]


class DotStream(MacUnit):
    """Operands of one step in, its result out.

    Cycle contract: a result is valid 2 + `stages` cycles after its operands moved; one a cycle.
    """

    suffix = "dot_stream"

    def __init__(self, config: MacConfig, top: str = "mac") -> None:
        self.row = Row(config, top)
        self.column = Column(config, top)
        self.dot = FusedDot(config, top)
        super().__init__(config, top, self.row, self.column, self.dot)

    def ports(self) -> dict[str, Any]:
        self.terms = data.StructLayout(
            {
                "a": self.layouts.codes,
                "b": self.layouts.weight_codes,
                "addend": FP32.bits,
            }
        )
        return {
            "i_terms": In(stream.Signature(self.terms)),
            "o_results": Out(stream.Signature(unsigned(FP32.bits))),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self.config
        terms, results = self.i_terms, self.o_results
        moves = Signal()
        # The addend is for the step that has passed o.
        addends = [
            Signal(FP32.bits, reset_less=True, name=f"addend_{i}")
            for i in range(2 if c.early else 1)
        ]
        valid = [Signal(name=f"valid_{i}") for i in range(c.stages + 1)]
        m.d.comb += [moves.eq(~results.valid | results.ready), terms.ready.eq(moves)]
        a, b = Signal(self.layouts.row), Signal(self.layouts.column)
        move = {"move": moves} if c.early else {}
        m.submodules.row = self.row.place(codes=terms.payload.a, load=moves, row=a, **move)
        m.submodules.column = self.column.place(codes=terms.payload.b, load=moves, column=b, **move)
        result = Signal(FP32.bits)
        enable = {"enable": moves} if c.stages else {}
        m.submodules.dot = self.dot.place(a=a, b=b, addend=addends[-1], result=result, **enable)
        with m.If(moves):
            m.d.sync += [
                valid[0].eq(terms.valid),
                addends[0].eq(terms.payload.addend),
                *(now.eq(before) for before, now in pairwise(addends)),
                results.payload.eq(result),
            ]
            for now, before in zip([*valid[1:], results.valid], valid, strict=True):
                m.d.sync += now.eq(before)
        return m


def simulate(
    a: NDArray[Any],
    b: NDArray[Any],
    accumulator: NDArray[Any],
    config: MacConfig,
    stalls: dict[str, int] | None = None,
) -> NDArray[np.uint32]:
    """FP32 codes [rows]: `accumulator` [rows] plus the dot products of codes [rows, K], by the RTL.

    K may be any length, as in `golden_mac`. stalls: as `NativeModel.run` has them.
    """
    unit = DotStream(config)
    ports = [
        StreamPort("i_terms", True, unit.terms.size),
        StreamPort("o_results", False, FP32.bits),
    ]
    padding = ((0, 0), (0, -a.shape[1] % config.k))
    a, b = np.pad(a, padding), np.pad(b, padding)
    bits = config.fmt.bits, config.weight_bits
    code = accumulator.astype(np.uint32)
    with NativeModel(unit_design(unit), unit.module_name, ports) as model:
        for step in range(0, a.shape[1], config.k):
            part = slice(step, step + config.k)
            beats = pack_fields((a[:, part], bits[0]), (b[:, part], bits[1]), (code, FP32.bits))
            results, _ = model.run({"i_terms": beats}, {"o_results": len(code)}, stalls=stalls)
            code = results["o_results"].view("<u4").reshape(-1).astype(np.uint32)
    return code
