"""Checks the RTL of all baselines bit for bit: `python -m lutppa.baselines.verify [NAME ...]`."""

from __future__ import annotations

import argparse
import sys

from lutcore.export import unit_design
from lutverif.bench.runner import BenchFailure, run_unit

from .array import BaselineArray
from .config import BaselineConfig
from .dequantise import CoreConfig
from .mac_array import MacArray
from .mac_config import NARROW, MacConfig
from .mac_core import MacCore

__all__ = ["CONFIGURATIONS", "CORES", "MAC_CONFIGURATIONS", "check"]


def _small(design: str, coding: str, terms: int, **more: int) -> BaselineConfig:
    return BaselineConfig(design=design, coding=coding, m=2, n=2, terms=terms, block=24, **more)


CONFIGURATIONS: dict[str, BaselineConfig] = {
    "mac": _small("mac", "integer", 4),
    "mac-8": _small("mac", "integer", 8),
    "mac-1": _small("mac", "integer", 8, stages=1),
    "mac-4x8": _small("mac", "integer", 3, activation_bits=8, weight_bits=4),
    "mac-16x8": _small("mac", "integer", 2, activation_bits=16, weight_bits=8),
    "mac-4x16": _small("mac", "integer", 2, activation_bits=4, weight_bits=16, psum_bits=32),
    "mac-8x1": _small("mac", "integer", 1, activation_bits=8, weight_bits=1),
    "add": _small("add", "unsigned", 6, weight_bits=4),
    "add-odd": _small("add", "odd", 4, weight_bits=3),
    "add-1": _small("add", "odd", 8, weight_bits=1),
    "add-aligned": _small("add", "unsigned", 4, activation_bits=13),
    "native-1": _small("native", "unsigned", 6, weight_bits=1),
    "native-odd-1": _small("native", "odd", 4, weight_bits=1),
    "native-2": _small("native", "integer", 4, weight_bits=2),
    "native-odd-2": _small("native", "odd", 3, weight_bits=2),
    "native-3": _small("native", "unsigned", 4, weight_bits=3),
    "native-4": _small("native", "integer", 4, weight_bits=4),
    "native-5": _small("native", "odd", 2, weight_bits=5, activation_bits=6),
    "native-enable": _small("native", "odd", 4, weight_bits=1, lane_enable=1),
    "native-1-1": _small("native", "odd", 4, weight_bits=1, stages=1),
    "native-4-1": _small("native", "integer", 4, weight_bits=4, stages=1),
    "native-ternary": _small("native", "ternary", 6, weight_bits=2),
    "full-2": _small("full", "unsigned", 4, lookup_group=2, weight_bits=3),
    "full-3": _small("full", "odd", 6, lookup_group=3, weight_bits=2, readers=1),
    "add-2-1": _small("add", "odd", 4, weight_bits=2, stages=1),
    "full-4-1": _small("full", "unsigned", 4, lookup_group=4, weight_bits=2, stages=1),
    "full-4": _small("full", "unsigned", 4, lookup_group=4, weight_bits=2),
    "half-4": _small("half", "odd", 8, lookup_group=4, weight_bits=2),
    "half-3": _small("half", "odd", 3, lookup_group=3, weight_bits=1, readers=1),
    "folded-4": _small("folded", "odd", 8, lookup_group=4, weight_bits=4),
    "folded-2": _small("folded", "odd", 2, lookup_group=2, weight_bits=2),
    "folded-5": BaselineConfig(
        design="folded", coding="odd", m=1, n=1, terms=5, lookup_group=5, block=20
    ),
}
"""Every design at the edges of its parameters."""


MAC_CONFIGURATIONS: dict[str, MacConfig] = {
    "fp16": MacConfig(m=2, n=2, k=4),
    "fp16-1": MacConfig(m=1, n=2, k=8, fraction_bits=23, stages=1),
    "fp16-2": MacConfig(m=1, n=1, k=16, fraction_bits=25, stages=2),
    "bf16": MacConfig(m=1, n=2, k=4, operand="bf16", stages=3),
    "bf16-0": MacConfig(m=2, n=1, k=5, operand="bf16"),
    "e4m3": MacConfig(m=2, n=2, k=4, operand="e4m3"),
    "e4m3-13": MacConfig(m=2, n=1, k=8, operand="e4m3", fraction_bits=13, stages=1),
    "e5m2": MacConfig(m=1, n=2, k=4, operand="e5m2", stages=4),
    **{
        f"fp16-{name}": MacConfig(m=2, n=2, k=4, weights=name, stages=index % 5)
        for index, name in enumerate(NARROW)
    },
    "bf16-w2": MacConfig(m=1, n=2, k=4, operand="bf16", weights="w2"),
    "e4m3-w1": MacConfig(m=1, n=2, k=8, operand="e4m3", weights="w1", stages=3),
    "e5m2-int4": MacConfig(m=1, n=2, k=4, operand="e5m2", weights="int4", stages=1),
}
"""Every format, every narrow weight, every number of stages."""


CORES: dict[str, CoreConfig] = {
    **{
        f"core-{codes}-{zero_bits}": CoreConfig(
            mac=MacConfig(m=2, n=2, k=4, stages=index % 2), codes=codes, zero_bits=zero_bits
        )
        for index, codes in enumerate(("w1", "ternary", "w2", "w4"))
        for zero_bits in (0, 5)
    },
    "core-bf16": CoreConfig(mac=MacConfig(m=1, n=2, k=4, operand="bf16"), codes="w4", zero_bits=3),
    "core-e4m3": CoreConfig(mac=MacConfig(m=1, n=2, k=4, operand="e4m3"), codes="w2", zero_bits=2),
}
"""Every code with and without zero points."""


def check(name: str) -> int:
    """Runs the bench of one configuration; the number of its tests, all passed."""
    config = (CONFIGURATIONS | MAC_CONFIGURATIONS | CORES)[name]
    if isinstance(config, BaselineConfig):
        bench, unit = "integer", BaselineArray(config)
    elif isinstance(config, MacConfig):
        bench, unit = "mac", MacArray(config)
    else:
        bench, unit = "mac_core", MacCore(config)
    label = f"baseline {name}"
    return run_unit(f"lutppa.bench.{bench}", unit, unit_design(unit), config.to_json(), label)


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit status is 1 if an RTL differs from the golden model."""
    parser = argparse.ArgumentParser(prog="python -m lutppa.baselines.verify", description=__doc__)
    known = [*CONFIGURATIONS, *MAC_CONFIGURATIONS, *CORES]
    parser.add_argument("names", nargs="*", metavar="NAME", help="configurations (all)")
    names = parser.parse_args(arguments).names
    for name in names:
        if name not in known:
            parser.error(f"{name!r} is no configuration; known are {', '.join(known)}")
    try:
        for name in names or known:
            print(f"{name}: {check(name)} tests passed", flush=True)
    except BenchFailure as failure:
        print(failure)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
