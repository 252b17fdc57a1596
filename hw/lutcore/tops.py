"""The modules that go into a chip, and their files: the core alone, on streams, and the engine."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .axi.registers import RegisterMap
from .axi.stream_core import StreamCore
from .config import TensorCoreConfig
from .core import TensorCore
from .engine.axi import EngineAxi, register_map
from .errors import ConfigError
from .export import WAIVERS, Export, streams, timing
from .lmma.config import EngineConfig
from .outputs import write_files
from .unit import BaseUnit

__all__ = ["ENGINE_WAIVERS", "TOPS", "core", "write"]

ENGINE_WAIVERS = WAIVERS | {
    "CASEINCOMPLETE": "a state that no case names leaves what was assigned before the case",
}
"""What generated Verilog with state machines raises by design."""

Configuration = TensorCoreConfig | EngineConfig

NO_EXPORTERS = (
    "C header, Python access, HTML and IP-XACT of the registers are left out: "
    "pip install lut-tensor-core[registers] brings what writes them"
)


def _export(
    kind: str,
    unit: BaseUnit,
    config: Configuration,
    details: dict[str, Any],
    waivers: Mapping[str, str] = WAIVERS,
) -> Export:
    return Export(
        kind=kind,
        unit=unit,
        name=_core_of(config).name,
        configuration=dataclasses.asdict(config),
        toml=config.to_toml(),
        details=details,
        waivers=waivers,
    )


def core(config: TensorCoreConfig, top: str = "lut_tensor_core") -> Export:
    """The tensor core; names of its modules start with `top`."""
    unit = TensorCore(config, top)
    return _export("core", unit, config, {"streams": streams(unit), **timing(unit)})


def _engine_stream(config: TensorCoreConfig) -> Export:
    unit = StreamCore(config)
    # Payloads are those of the core, in the low bits of TDATA.
    payloads = streams(unit.core)
    buses = {
        prefix: {
            "protocol": "AXI4-Stream",
            "role": "slave" if payloads[name]["direction"] == "input" else "master",
            **signature.parameters,
            "payload": payloads[name]["payload"],
        }
        for name, (prefix, signature) in unit.buses().items()
    }
    return _export("engine_stream", unit, config, {"buses": buses, **timing(unit.core)})


def _engine_axi(engine: EngineConfig) -> Export:
    unit = EngineAxi(engine)
    parameters = unit.parameters
    master: dict[str, Any] = {"protocol": "AXI4", "role": "master", **parameters.bus.parameters}
    master |= {"max_beats": parameters.max_beats, "outstanding": parameters.outstanding}
    slave = {"protocol": "AXI4-Lite", "role": "slave", **unit.control.bus.parameters}
    details = {
        "buses": {"m_axi": master, "s_axi": slave},
        "interrupt": "irq, level, active high",
        "registers": {item.name: item.offset for item in unit.control.registers.registers},
        "buffer_bits": {
            name: buffer.bits << buffer.address_bits for name, buffer in unit.engine.buffers.items()
        },
    }
    return _export("engine_axi", unit, engine, details, ENGINE_WAIVERS)


def _core_of(config: Configuration) -> TensorCoreConfig:
    return config.core if isinstance(config, EngineConfig) else config


def _engine_of(config: Configuration) -> EngineConfig:
    return config if isinstance(config, EngineConfig) else EngineConfig(core=config)


TOPS: dict[str, Callable[[Configuration], Export]] = {
    "core": lambda config: core(_core_of(config)),
    "engine_axi": lambda config: _engine_axi(_engine_of(config)),
    "engine_stream": lambda config: _engine_stream(_core_of(config)),
}
"""What there is to build, by name: the core, the engine, the core on AXI4-Stream."""


def _register_files(registers: RegisterMap) -> tuple[dict[str, bytes], str]:
    """All files of a map, and what is to be said where the exporters are not installed."""
    try:
        from .axi import rdl
    except ImportError:
        return {f"{registers.name}.rdl": registers.systemrdl().encode()}, NO_EXPORTERS
    return rdl.exports(registers), ""


def write(config: Configuration, out: Path, top: str = "core") -> tuple[list[Path], str]:
    """Write the files of a top module to `out`, the Verilog first; those of registers below it.

    An engine around a core alone has the default sizes.
    Their paths, and a remark if some cannot be made. Each file is complete or as it was before.
    ConfigError if there is no such top, or if it cannot be built; InputError with the path that
    cannot be written.
    """
    if top not in TOPS:
        raise ConfigError(f"top {top!r} is unknown; known are {', '.join(TOPS)}")
    export = TOPS[top](config)
    contents = {name: text.encode() for name, text in export.files().items()}
    remark = ""
    if isinstance(export.unit, EngineAxi):
        files, remark = _register_files(register_map(export.unit.config))
        contents |= {f"registers/{name}": content for name, content in files.items()}
    write_files({out / name: content for name, content in contents.items()})
    return [out / name for name in contents], remark
