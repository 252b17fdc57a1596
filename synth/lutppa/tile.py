"""A tile as power measures it: tables, a register for the weights, and the lanes.

    steps -> table -> lookup -> psums
    weights -> register --^       (with `pipeline` it is the lookup array's own)

What is missing to a core is precompute and rescale, which work once a block and not once a step.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out

from lutcore.config import TensorCoreConfig
from lutcore.lookup import LookupArray
from lutcore.table import Table
from lutcore.unit import Unit

__all__ = ["LookupTile"]


class LookupTile(Unit):
    """Tables and lanes with their operands in registers.

    Cycle contract: a step and its weights move into registers in the cycle in which they are valid,
    and into the lanes one cycle later; a step a cycle without back-pressure.
    """

    suffix = "tile"

    def __init__(self, config: TensorCoreConfig, top: str = "lut_tensor_core") -> None:
        self.table = Table(config, top)
        self.lookup = LookupArray(config, top)
        super().__init__(config, top, self.table, self.lookup)

    def ports(self) -> dict[str, Any]:
        """Steps and weights in, psums out."""
        return {
            "i_steps": In(self.layouts.signature("steps")),
            "i_weights": In(self.layouts.signature("weights")),
            "o_psums": Out(self.layouts.signature("psums")),
        }

    def elaborate(self, platform: object) -> Module:
        """The parts joined."""
        m = Module()
        tables = self.layouts.signature("tables").create(path=("tables",))
        weights = (
            self.i_weights if self.config.pipeline else self.held(m, "weights", self.i_weights)
        )
        m.submodules.table = self.table.place(i_steps=self.i_steps, o_tables=tables)
        m.submodules.lookup = self.lookup.place(
            i_tables=tables, i_weights=weights, o_psums=self.o_psums
        )
        return m
