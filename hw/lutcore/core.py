"""The tensor core: precompute, table, lookup and rescale joined by streams.

i_passes, i_activations -> precompute -> table -> lookup -> rescale -> o_outputs
                                     i_weights --^         ^-- i_scales, i_addends
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module
from amaranth.lib.wiring import In, Out

from .config import TensorCoreConfig
from .lookup import LookupArray
from .precompute import Precompute
from .rescale import Rescale
from .table import Table
from .unit import Unit

__all__ = ["TensorCore"]


class TensorCore(Unit):
    """O[m, n] += A[m, K] W[n, K]^T for one tile, K in passes; O starts from zero or i_addends.

    Cycle contract: with all streams ready, a pass of p planes and s steps takes
    max(p * s, rounds * `config.round_cycles`) cycles, rounds being 2 with `offset` and else 1; with
    a `pipeline` of 2 and more sometimes one more, see `Rescale`. The
    first step of a pass enters the lanes `fill` cycles after its last activation beat, and passes
    follow without a gap: one with `keep` at once, replaying the activations of the pass before,
    another where its activations have arrived. Each stream may stall at any time.
    """

    suffix = ""

    def __init__(self, config: TensorCoreConfig, top: str = "lut_tensor_core") -> None:
        self.precompute = Precompute(config, top)
        self.table = Table(config, top)
        self.lookup = LookupArray(config, top)
        self.rescale = Rescale(config, top)
        super().__init__(config, top, self.precompute, self.table, self.lookup, self.rescale)

    @property
    def fill(self) -> int:
        """Cycles from the last activation of a pass to the first step in the lanes."""
        return self.precompute.latency + 1

    def ports(self) -> dict[str, Any]:
        return {
            "i_passes": In(self.layouts.signature("passes")),
            "i_activations": In(self.layouts.signature("activations")),
            "i_weights": In(self.layouts.signature("weights")),
            "i_scales": In(self.layouts.signature("scales")),
            **self.rescale.addends(),
            "o_outputs": Out(self.layouts.signature("outputs")),
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        steps, tables, psums = (
            self.layouts.signature(name).create(path=(name,))
            for name in ("steps", "tables", "psums")
        )
        m.submodules.precompute = self.precompute.place(
            i_passes=self.i_passes, i_activations=self.i_activations, o_steps=steps
        )
        m.submodules.table = self.table.place(i_steps=steps, o_tables=tables)
        m.submodules.lookup = self.lookup.place(
            i_tables=tables, i_weights=self.i_weights, o_psums=psums
        )
        m.submodules.rescale = self.rescale.place(
            i_psums=psums,
            i_scales=self.i_scales,
            **{name: getattr(self, name) for name in self.rescale.addends()},
            o_outputs=self.o_outputs,
        )
        return m
