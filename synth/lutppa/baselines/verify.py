"""Checks the RTL of the integer baselines bit for bit: `python -m lutppa.baselines.verify`."""

from __future__ import annotations

import sys

from lutcore.export import unit_design
from lutverif.bench.runner import BenchFailure, run_unit

from .array import BaselineArray
from .config import BaselineConfig

__all__ = ["CONFIGURATIONS", "check"]


def _small(design: str, coding: str, terms: int, **more: int) -> BaselineConfig:
    return BaselineConfig(design=design, coding=coding, m=2, n=2, terms=terms, block=24, **more)


CONFIGURATIONS: dict[str, BaselineConfig] = {
    "mac": _small("mac", "integer", 4),
    "mac-8": _small("mac", "integer", 8),
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
    "native-ternary": _small("native", "ternary", 6, weight_bits=2),
    "full-2": _small("full", "unsigned", 4, lookup_group=2, weight_bits=3),
    "full-3": _small("full", "odd", 6, lookup_group=3, weight_bits=2, readers=1),
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


def check(name: str) -> int:
    """Runs the bench of one configuration; the number of its tests, all passed."""
    config = CONFIGURATIONS[name]
    unit = BaselineArray(config)
    label = f"baseline {name}"
    return run_unit("lutppa.bench.integer", unit, unit_design(unit), config.to_json(), label)


def main() -> int:
    """The command; its exit status is 1 if an RTL differs from the golden model."""
    try:
        for name in CONFIGURATIONS:
            print(f"{name}: {check(name)} tests passed", flush=True)
    except BenchFailure as failure:
        print(failure)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
