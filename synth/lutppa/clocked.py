"""Area at a clock: for every module a way of mapping with which the clock is met.

All modules start as `area` maps them, and nets with many loads get buffers (`buffers`). While a
path misses the clock, a module on it takes another of `ways`: that which buys most time for its
area in all its instances; at the end cells get their drive strengths (`sizing`), and modules go
back to smaller mappings where the clock allows it. Where it is out of reach, the slack says by how
much. Times are those of `timing`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path as File
from typing import Any, NamedTuple

from lutcore.unit import BaseUnit
from lutverif import native

from . import buffers, cells, circuit, delays, flat_netlist, mapped, sizing, timing, ways
from .area import Synthesis
from .circuit import Circuit
from .circuit import circuit as circuit_of
from .liberty import Library
from .timing import Path, Step, Timing

__all__ = ["Timed", "flow", "timed"]

_FASTER = 0.97
"""A mapping is worth trying if its own paths are at most this part of those of a smaller one."""

_WORTH = 0.1
"""A module that has less than this part of a path is left as it is."""

_SIZED = 0.1
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
    """A way of mapping a module: netlist, area, and the longest path in the module by itself."""

    way: str
    text: str
    area: float
    own_ps: float


class _Fit(NamedTuple):
    """A circuit with buffers and sizes, the ways of its modules, and how many cells come first that
    are no buffers of ours."""

    sized: Timing
    chosen: dict[str, str]
    cells: int


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
        self.chosen = dict.fromkeys(self.units, "")
        self.rungs: dict[tuple[str, str], _Rung | None] = {}
        self.instances = _instances(self.smallest, self.top)

    def run(self) -> Timed:
        """The search."""
        plain = timing.analyse(self._circuit(), self.clock_ps)
        tried: list[_Fit] = []
        while True:
            circuit, estimate = self._estimated()
            if estimate.slack_ps < -_SIZED * self.clock_ps and self._step(estimate):
                continue
            tried.append(self._sized(circuit, estimate))
            if tried[-1].sized.slack_ps >= 0 or not self._step(tried[-1].sized):
                break
        best = max(tried, key=lambda fit: min(0.0, fit.sized.slack_ps))
        return self._timed(plain, self._returned(best))

    def _estimated(self) -> tuple[Circuit, Timing]:
        """The circuit, and its timing with buffers."""
        circuit = self._circuit()
        return circuit, timing.analyse(buffers.buffered(circuit, self.clock_ps), self.clock_ps)

    def _sized(self, circuit: Circuit, estimate: Timing) -> _Fit:
        chosen = {name: way for name, way in self.chosen.items() if way}
        sized = sizing.resized(estimate.circuit, self.clock_ps)
        return _Fit(sized, chosen, len(circuit.kind))

    def _returned(self, best: _Fit) -> _Fit:
        """`best` without what others made superfluous: modules go back to smaller mappings, those
        that cost most first, while the clock is met, or missed by no more."""
        self.chosen = dict.fromkeys(self.units, "") | best.chosen
        slack = min(0.0, best.sized.slack_ps)

        def cost(name: str) -> float:
            now, least = self._rung(name, self.chosen[name]), self._rung(name, "")
            assert now is not None  # They have been in a circuit.
            assert least is not None
            return self.instances[name] * (now.area - least.area)

        for name in sorted(best.chosen, key=cost, reverse=True):
            for way in self._smaller(name):
                kept, self.chosen[name] = self.chosen[name], way
                circuit, estimate = self._estimated()
                if estimate.slack_ps >= slack - _SIZED * self.clock_ps:
                    fit = self._sized(circuit, estimate)
                    area = best.sized.circuit.area
                    if fit.sized.slack_ps >= slack and fit.sized.circuit.area < area:
                        best = fit
                        break
                self.chosen[name] = kept
        return best

    def _smaller(self, name: str) -> list[str]:
        """Ways of mapping a module in less area than it has, the smallest first."""
        rungs = [self._rung(name, way) for way in ("", *ways.WAYS)]
        now = self._rung(name, self.chosen[name])
        found = [rung for rung in rungs if rung and now and rung.area < now.area]
        return [rung.way for rung in sorted(found, key=lambda rung: rung.area)]

    def _timed(self, plain: Timing, best: _Fit) -> Timed:
        """What was found."""
        final = best.sized.circuit
        bought = final.kind[best.cells :]
        return Timed(
            clock_ps=self.clock_ps,
            area=self.smallest.totals[self.top].area,
            unclocked_ps=plain.length_ps,
            timed_area=final.area,
            buffers=len(bought),
            buffer_area=float(final.delays.areas[bought].sum()),
            slack_ps=best.sized.slack_ps,
            areas=final.areas,
            plain_areas=plain.circuit.areas,
            ways=best.chosen,
            paths=tuple(timing.paths(best.sized)),
            netlist=final.verilog(),
        )

    def _circuit(self) -> Circuit:
        texts = [self._text(name, way) or "" for name, way in self.chosen.items()]
        return circuit_of("\n".join(texts), self.top, self.library)

    def _step(self, estimate: Timing) -> bool:
        """Map one module in a faster way, where it buys most for its area; whether there is one."""
        for path in timing.paths(estimate):
            if path.slack_ps >= 0:
                break
            spent: dict[str, float] = {}
            before = 0.0
            for step in path.steps:
                spent[step.module] = spent.get(step.module, 0.0) + step.arrival_ps - before
                before = step.arrival_ps
            options: list[tuple[float, str, str]] = []
            for name, ps in spent.items():
                if ps > _WORTH * path.length_ps:
                    option = self._faster(name, ps, -path.slack_ps)
                    options += [(option[0], name, option[1])] if option else []
            if options:
                _, name, way = max(options)
                self.chosen[name] = way
                return True
        return False

    def _faster(self, name: str, ps: float, missed: float) -> tuple[float, str] | None:
        """The way in which a module takes less of its `ps` that gains most for its area.

        With that, ps for the area of all instances, no more than is missed being a gain. None if
        the module has no faster way.
        """
        now = self._rung(name, self.chosen[name])
        assert now is not None  # It is in the circuit.
        options: list[tuple[float, str]] = []
        for way in ways.WAYS:
            rung = self._rung(name, way)
            if rung and rung.own_ps < _FASTER * now.own_ps:
                gain = min(missed, ps * (1 - rung.own_ps / now.own_ps))
                cost = self.instances[name] * (rung.area - now.area)
                options.append((gain / max(cost, 1e-3 * now.area), way))
        return max(options, default=None)

    def _rung(self, name: str, way: str) -> _Rung | None:
        """A module mapped in a way; None where that does not go with the library."""
        if (name, way) not in self.rungs:
            text = self._text(name, way)
            self.rungs[name, way] = self._alone(name, way, text) if text else None
        return self.rungs[name, way]

    def _text(self, name: str, way: str) -> str | None:
        if not way:
            return mapped.module_text(self.smallest.netlist, name)
        return ways.mapped(self._below(name) + self.modules[name], name, self.library, way)

    def _alone(self, name: str, way: str, text: str) -> _Rung:
        """A module judged by its own cells, whatever it places being elsewhere; kept by content."""
        below = self._below(name)

        def build(work: File) -> None:
            alone = circuit_of(below + text, name, self.library).opened()
            found = timing.analyse(buffers.buffered(alone, self.clock_ps), self.clock_ps)
            (work / "rung.json").write_text(json.dumps([alone.area, found.length_ps]))

        key = mapped.digest(below + text, name, self.library.sha256, str(self.clock_ps), flow())
        with native.cached(f"rung-{key}", build) as entry:
            area, own_ps = json.loads((entry / "rung.json").read_text())
        return _Rung(way, text, area, own_ps)

    def _below(self, name: str) -> str:
        return "".join(mapped.empty(child) for child in self.units[name].children)


def _instances(synthesis: Synthesis, top: str) -> dict[str, int]:
    """How often every module below `top` is placed in all."""
    found: dict[str, int] = dict.fromkeys(synthesis.modules, 0)

    def place(name: str, count: int) -> None:
        found[name] += count
        for child, times in synthesis.modules[name].children.items():
            place(child, count * times)

    place(top, 1)
    return found
