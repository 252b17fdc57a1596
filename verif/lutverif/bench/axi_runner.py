"""Builds and runs the benches of the buses; `lutverif.bench.NAME` holds the tests of each."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lutcore import TensorCoreConfig
from lutcore.axi import AxiParameters, ControlRegisters, StreamCore
from lutcore.axi.registers import RegisterMap
from lutcore.engine.axi import EngineAxi
from lutcore.export import unit_design
from lutcore.memory_port import MemoryPort
from lutverif.engine_soak import CONFIGURATIONS

from .memory_copy import MemoryCopy
from .monitored import FAULTS, Monitored, Trace, master, monitored, verilog
from .runner import CONFIGURATION, run_unit

__all__ = [
    "BENCHES",
    "Watch",
    "bench_settings",
    "parameters",
    "run",
    "run_engine",
    "run_registers",
    "run_stream",
]

BENCHES: dict[str, Callable[[AxiParameters], Monitored]] = {
    "axi_master": master,
    "axi_copy": lambda parameters: monitored(MemoryCopy(parameters), parameters),
    "axi_trace": lambda parameters: monitored(Trace(parameters), parameters, "bus"),
}
"""Units with a bench and the bus of a master."""

LITE = {
    **dict.fromkeys(("awid", "awlen", "bid", "arid", "arlen", "rid"), 0),
    **dict.fromkeys(("awburst", "wlast", "arburst", "rlast"), 1),
    **dict.fromkeys(("awsize", "arsize"), 2),
    "p_DATA_BITS": 32, "p_ADDRESS_BITS": 12, "p_MAX_BEATS": 1, "p_OUTSTANDING": 2, "p_ALIGNED": 0,
}  # fmt: skip
"""AXI4-Lite of the registers as AXI4: what the monitor is to see of a burst of one beat."""


class Watch:
    """An agent of a bench: no fault of the monitor, and beats of the bus show that work goes on."""

    def __init__(self, dut: Any, prefix: str = "m_axi") -> None:
        self.dut, self.prefix = dut, prefix

    def drive(self, _: object) -> None:
        """Drives nothing."""

    def moves(self, channel: str) -> bool:
        """Whether a beat of the channel moves at the coming edge."""
        name = f"{self.prefix}_{channel}"
        valid, ready = (getattr(self.dut, name + part) for part in ("valid", "ready"))
        return bool(int(valid.value) and int(ready.value))

    def sample(self, cycle: int) -> bool:
        """Whether data moves at the coming edge."""
        fault = int(self.dut.fault.value)
        assert not fault, f"cycle {cycle}: {FAULTS[fault]}"
        return self.moves("w") or self.moves("r")


def bench_settings() -> dict[str, Any]:
    """What the bench was started with; for use inside a simulation."""
    return json.loads(Path(os.environ[CONFIGURATION]).read_text())


def parameters() -> AxiParameters:
    """The parameters of the unit under test; for use inside a simulation."""
    fields = bench_settings()
    return AxiParameters(port=MemoryPort(**fields.pop("port")), **fields)


def run(name: str, parameters: AxiParameters) -> int:
    """Runs the bench `name` of BENCHES; the number of its tests, all passed. Errors: `run_unit`."""
    unit = BENCHES[name](parameters)
    text = json.dumps(dataclasses.asdict(parameters))
    return run_unit(f"lutverif.bench.{name}", unit, verilog(unit), text, name)


def run_registers(registers: RegisterMap, counters_from: int = 0) -> int:
    """Runs the bench of the control registers of a map; as `run`.

    counters_from  what a reset makes the counters, in place of 0, so that they carry soon
    """
    unit = Monitored(ControlRegisters(registers), "s_axi", **LITE)
    text = verilog(unit).replace(f"64'h{0:016x}", f"64'h{counters_from:016x}")
    settings = json.dumps({"rdl": registers.systemrdl(), "counters_from": counters_from})
    return run_unit("lutverif.bench.axi_registers", unit, text, settings, registers.name)


def run_engine(name: str) -> int:
    """Runs the bench of `EngineAxi` on an engine of `engine_soak.CONFIGURATIONS`; as `run`."""
    engine = EngineAxi(CONFIGURATIONS[name])
    unit = monitored(engine, engine.parameters)
    settings = json.dumps({"engine": name})
    return run_unit("lutverif.bench.axi_engine", unit, verilog(unit), settings, f"engine {name}")


def run_stream(config: TensorCoreConfig) -> int:
    """Runs the bench of `StreamCore` of a configuration; as `run`."""
    unit = StreamCore(config)
    text = config.to_toml()
    return run_unit("lutverif.bench.axi_stream", unit, unit_design(unit), text, config.name)
