"""Area at a clock: for every module the smallest way of mapping with which the clock is met.

All modules start as `area` maps them, and nets with many loads get buffers (`buffers`). While a
path misses the clock, the module in which it spends most time takes another of `ways`, the first
that is fast enough; at the end cells get their drive strengths (`sizing`). Where the clock is out
of reach, the slack says by how much. Times are those of `timing`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path as File
from typing import Any, NamedTuple

import numpy as np

from lutcore.unit import BaseUnit
from lutverif import native

from . import buffers, cells, circuit, delays, flat_netlist, mapped, sizing, timing, ways
from .circuit import Circuit
from .circuit import circuit as circuit_of
from .liberty import Library
from .timing import Path, Step, Timing

__all__ = ["Timed", "flow", "timed"]

_FASTER = 0.97
"""A mapping is worth trying if its own paths are at most this part of those of a smaller one."""

_WORTH = 0.1
"""A module that has less than this part of a path is left as it is."""

_SIZED = 0.05
"""Part of the period that sizing is trusted to recover, before other mappings are."""


@dataclass(frozen=True)
class Timed:
    """A unit at a clock; areas in the library's unit, times in ps.

    area          mapped for the smallest area, without clock and buffers
    unclocked_ps  longest path of that
    timed_area    with the mappings chosen, buffers and sizes
    buffers       how many of its cells are buffers, and their area
    slack_ps      of the longest path; negative where the clock is missed
    areas         timed area of the cells of each module, in all its instances
    plain_areas   the same without clock and buffers
    ways          of mapping, by module, where it is not the smallest
    paths         longest into each unit, the longest first
    netlist       flat Verilog
    """

    clock_ps: float
    area: float
    unclocked_ps: float
    timed_area: float
    buffers: int
    buffer_area: float
    slack_ps: float
    areas: dict[str, float]
    plain_areas: dict[str, float]
    ways: dict[str, str]
    paths: tuple[Path, ...]
    netlist: str

    @property
    def length_ps(self) -> float:
        """The shortest period that the circuit would meet."""
        return self.clock_ps - self.slack_ps

    def data(self) -> dict[str, Any]:
        """All but the netlist, as JSON can hold it."""
        content = asdict(self)
        del content["netlist"]
        content["paths"] = [
            {**asdict(path), "steps": [step._asdict() for step in path.steps]}
            for path in self.paths
        ]
        return content


def flow() -> str:
    """Hash of all that decides what `timed` gives: sources and tools."""
    files = (__file__, *(str(module.__file__) for module in (
        buffers, cells, circuit, delays, flat_netlist, sizing, timing, ways,
    )))  # fmt: skip
    return mapped.digest(mapped.flow(), mapped.sources(*files))


def timed(unit: BaseUnit, modules: Mapping[str, str], library: Library, clock_ps: float) -> Timed:
    """Fit a unit, whose modules have these texts, to a clock; kept by content.

    InputError where the library has no timing or cannot be mapped onto.
    """

    def build(work: File) -> None:
        found = _Search(unit, modules, library, clock_ps).run()
        (work / "netlist.v").write_text(found.netlist)
        (work / "timed.json").write_text(json.dumps(found.data()))

    text = json.dumps([unit.module_name, dict(modules), clock_ps])
    with native.cached(f"timed-{mapped.digest(text, library.sha256, flow())}", build) as entry:
        content = json.loads((entry / "timed.json").read_text())
        netlist = (entry / "netlist.v").read_text()
    paths = tuple(
        Path(**{**path, "steps": tuple(Step(**step) for step in path["steps"])})
        for path in content.pop("paths")
    )
    return Timed(**content, paths=paths, netlist=netlist)


class _Rung(NamedTuple):
    """A way of mapping a module, its netlist, and the longest path in the module by itself."""

    way: str
    text: str
    own_ps: float


class _Search:
    """Chooses a rung for each module."""

    def __init__(
        self, unit: BaseUnit, modules: Mapping[str, str], library: Library, clock_ps: float
    ) -> None:
        self.top, self.modules, self.library, self.clock_ps = (
            unit.module_name, modules, library, clock_ps,
        )  # fmt: skip
        self.units = {found.module_name: found for found in unit.definitions()}
        self.smallest = mapped.mapped(unit, modules, library)
        self.chosen = {
            name: _Rung("", mapped.module_text(self.smallest.netlist, name), np.nan)
            for name in self.units
        }
        self.left = {name: list(ways.WAYS) for name in self.units}

    def run(self) -> Timed:
        """The search."""
        plain = timing.analyse(self._circuit(), self.clock_ps)
        tried: list[tuple[Timing, dict[str, str], int]] = []
        searching = True
        while searching:
            circuit = self._circuit()
            estimate = timing.analyse(buffers.buffered(circuit, self.clock_ps), self.clock_ps)
            close = estimate.slack_ps >= -_SIZED * self.clock_ps
            ways_now = {name: rung.way for name, rung in self.chosen.items() if rung.way}
            searching = self._step(estimate) if not close else False
            if not searching:
                sized = sizing.resized(estimate.circuit, self.clock_ps)
                tried.append((sized, ways_now, len(circuit.kind)))
                searching = sized.slack_ps < 0 and close and self._step(sized)
        best, chosen, cells = max(tried, key=lambda found: min(0.0, found[0].slack_ps))
        return self._timed(plain, best, chosen, cells)

    def _timed(self, plain: Timing, best: Timing, chosen: dict[str, str], cells: int) -> Timed:
        """What was found; the first `cells` of the circuit are no buffers of ours."""
        final = best.circuit
        bought = final.kind[cells:]
        return Timed(
            clock_ps=self.clock_ps,
            area=self.smallest.totals[self.top].area,
            unclocked_ps=plain.length_ps,
            timed_area=final.area,
            buffers=len(bought),
            buffer_area=float(final.delays.areas[bought].sum()),
            slack_ps=best.slack_ps,
            areas=final.areas,
            plain_areas=plain.circuit.areas,
            ways=chosen,
            paths=tuple(timing.paths(best)),
            netlist=final.verilog(),
        )

    def _circuit(self) -> Circuit:
        text = "\n".join(rung.text for rung in self.chosen.values())
        return circuit_of(text, self.top, self.library)

    def _step(self, estimate: Timing) -> bool:
        """Map one module in a faster way; whether there was one to be found."""
        for path in timing.paths(estimate):
            if path.slack_ps >= 0:
                break
            spent: dict[str, float] = {}
            before = 0.0
            for step in path.steps:
                spent[step.module] = spent.get(step.module, 0.0) + step.arrival_ps - before
                before = step.arrival_ps
            for name, ps in sorted(spent.items(), key=lambda pair: -pair[1]):
                if ps > _WORTH * path.length_ps and self._faster(name, 1 + path.slack_ps / ps):
                    return True
        return False

    def _faster(self, name: str, part: float) -> bool:
        """Map a module so that its paths take that part of their time, or less time at least."""
        now = self.chosen[name]
        if np.isnan(now.own_ps):
            now = now._replace(own_ps=self._own(name, now.text))
        best = now
        left = self.left[name]
        while left and best.own_ps > part * now.own_ps:
            way = left.pop(0)
            below = "".join(mapped.empty(child) for child in self.units[name].children)
            text = ways.mapped(below + self.modules[name], name, self.library, way)
            if text is None:
                continue
            rung = _Rung(way, text, self._own(name, text))
            if rung.own_ps < _FASTER * best.own_ps:
                best = rung
        self.chosen[name] = best
        return best is not now

    def _own(self, name: str, text: str) -> float:
        """Longest path in the cells of a module, whatever it places being elsewhere."""
        below = "".join(mapped.empty(child) for child in self.units[name].children)
        alone = circuit_of(below + text, name, self.library).opened()
        found = buffers.buffered(alone, self.clock_ps)
        return timing.analyse(found, self.clock_ps).length_ps
