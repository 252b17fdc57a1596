"""`BaselineLayouts`: payloads of the integer baselines' streams, and what their units exchange."""

from __future__ import annotations

from amaranth.hdl import signed
from amaranth.lib import data, stream

from .config import BaselineConfig

__all__ = ["BaselineLayouts"]


class BaselineLayouts:
    """The payload layouts of `config`; the first field at the least significant bit.

    activations  m rows of `terms` activations and control, one beat a step and plane
    weights      n columns of `terms` codes, one beat a step and plane
    psums        n columns of m accumulators, one beat a block
    values       the activations of a row
    operand      what a row's lanes read of them
    codes        the codes of a column
    selections   what a column's codes tell its lanes
    """

    def __init__(self, config: BaselineConfig) -> None:
        c = config
        self.control = data.StructLayout({"clear": 1, "shift": 1, "end": 1})
        self.values = data.ArrayLayout(signed(c.activation_bits), c.terms)
        self.activations = data.StructLayout(
            {"rows": data.ArrayLayout(self.values, c.m), "control": self.control}
        )
        self.codes = data.ArrayLayout(c.code_bits, c.terms)
        self.weights = data.ArrayLayout(self.codes, c.n)
        self.psums = data.ArrayLayout(data.ArrayLayout(signed(c.accumulator_bits), c.m), c.n)
        lines = sum(count for _, count in c.digits)
        if c.design == "mac":
            choices: data.Layout = data.ArrayLayout(lines, c.terms)
            self.selections: data.Layout = self.codes
        else:
            entries = data.ArrayLayout(signed(c.entry_bits), c.stored)
            choices = data.ArrayLayout(entries, c.groups)
            self.selections = data.ArrayLayout(
                data.StructLayout({"lines": lines, "negate": int(c.folded)}), c.groups
            )
        correction = {"correction": signed(c.correction_bits)} if c.correction_bits else {}
        self.operand = data.StructLayout({"choices": choices, **correction})

    def signature(self, name: str) -> stream.Signature:
        """The valid/ready stream that carries the layout called `name`."""
        return stream.Signature(getattr(self, name))
