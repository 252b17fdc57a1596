"""Area of the floating-point baselines: `python -m lutppa.baselines.mac --liberty FILE`.

A row is printed as soon as it is measured; areas are those of one multiply-accumulate a cycle.

    dot       the fused dot product with its FP32 accumulator
    operands  share of what is held and taken apart once a row and once a column
    door      share of dequantisers and registers of scales, or of the rescale unit
    all       all of it, and control
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from lutcore.config import PRESETS, TensorCoreConfig
from lutcore.core import TensorCore
from lutcore.unit import BaseUnit
from lutppa.area import Synthesis
from lutppa.command import reported
from lutppa.liberty import Library, read
from lutppa.mapped import mapped, texts

from .array import BaselineArray
from .config import BaselineConfig
from .dequantise import CoreConfig
from .mac_array import MacArray
from .mac_config import MacConfig
from .mac_core import MacCore

__all__ = ["Row", "main", "measure", "measure_integer", "measure_own", "rows"]

TILES = {4: (8, 16), 8: (8, 8), 16: (8, 4)}
"""Rows and columns of an array by its terms: m n k = 512."""


class Row(NamedTuple):
    """Areas of a multiply-accumulate in the library's unit, without those that do not apply."""

    name: str
    m: int
    n: int
    k: int
    dot: float
    operands: float
    door: float
    all: float


def measure(name: str, unit: MacArray | MacCore, library: Library) -> Row:
    """Map an array, or a core with its dequantisers."""
    synthesis = mapped(unit, texts(unit), library)
    core = isinstance(unit, MacCore)
    array = unit.array if core else unit
    c = array.config

    def share(instances: int, *parts: BaseUnit) -> float:
        area = sum(synthesis.totals[part.module_name].area for part in parts)
        return area * instances / (c.m * c.n * c.k)

    whole, inner = (share(1, part) for part in (unit, array))
    return Row(
        name, c.m, c.n, c.k,
        dot=share(c.m * c.n, array.dot, array.accumulator),
        operands=share(c.m, array.row) + share(c.n, array.column),
        door=whole - inner,
        all=whole,
    )  # fmt: skip


def measure_own(name: str, library: Library) -> Row:
    """Map a preset of the product; its lanes with their decoders stand for the dot products."""
    config = PRESETS[name]
    unit = TensorCore(config)
    synthesis: Synthesis = mapped(unit, texts(unit), library)
    area = {part.suffix: synthesis.totals[part.module_name].area for part in unit.definitions()}
    products = config.m * config.n * config.k
    lanes = config.lanes * area["lane"] + config.n * area["decoder"]
    return Row(
        f"lookup, {name}, one plane", config.m, config.n, config.k,
        dot=lanes / products,
        operands=(area["table"] + area["precompute"]) / products,
        door=area["rescale"] / products,
        all=synthesis.totals[unit.module_name].area / products,
    )  # fmt: skip


def measure_integer(bits: int, library: Library) -> Row:
    """Map an INT8 MAC array, and for its epilogue the product's rescale of the same tile and block.

    Weights of `bits` bits are extended to 8 at no cost. The two are measured, not assembled.
    """
    m, n = TILES[16]
    config = BaselineConfig(design="mac", coding="integer", m=m, n=n, terms=16, block=128)
    array = BaselineArray(config)
    epilogue = TensorCoreConfig(
        m=m, n=n, lookup_group=2, groups_per_step=8, block=128, weight_bits=bits, zero_bits=5,
        activations=("int8",), scales=("fp16",), outputs=("fp32",),
    )  # fmt: skip
    rescale = next(u for u in TensorCore(epilogue).definitions() if u.suffix == "rescale")
    found = [mapped(unit, texts(unit), library) for unit in (array, rescale)]
    products = m * n * config.terms
    area = {part.suffix: found[0].totals[part.module_name].area for part in array.definitions()}
    lanes, whole, end = m * n * area["lane"], area["array"], found[1].totals[found[1].top].area
    return Row(
        f"INT8 MAC and rescale, w{bits}", m, n, config.terms,
        dot=lanes / products,
        operands=(whole - lanes) / products,
        door=end / products,
        all=(whole + end) / products,
    )  # fmt: skip


def rows(library: Library, stages: int = 0) -> Iterator[Row]:
    """Every row, measured one after the other."""
    for operand in ("fp16", "bf16", "e4m3"):
        for k, (m, n) in TILES.items():
            config = MacConfig(m=m, n=n, k=k, operand=operand, stages=stages)
            yield measure(f"MAC {operand}", MacArray(config), library)
    config = MacConfig(m=8, n=4, fraction_bits=23, stages=stages)
    yield measure("MAC fp16, F = 23", MacArray(config), library)
    for weights in ("w1", "ternary", "w2", "w4"):
        config = MacConfig(m=4, n=8, weights=weights, stages=stages)
        yield measure(f"native fp16 x {weights}", MacArray(config), library)
    for m, n in ((8, 4), (16, 8), (16, 16)):
        mac = MacConfig(m=m, n=n, stages=stages)
        for codes in ("w1", "ternary", "w2", "w4"):
            for zero_bits in (0, 5):
                if zero_bits and m * n > 32:
                    continue
                core = CoreConfig(mac=mac, codes=codes, zero_bits=zero_bits)
                zeros = f", zeros of {zero_bits} bits" if zero_bits else ""
                yield measure(f"core fp16, {codes}{zeros}", MacCore(core), library)
    for bits in (2, 4):
        yield measure_integer(bits, library)
    for name in ("dense", "dense8"):
        yield measure_own(name, library)


@reported
def main(arguments: list[str] | None = None) -> int:
    """The command; its exit status is 2 for a library or parameter that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m lutppa.baselines.mac", description=__doc__)
    parser.add_argument("--liberty", type=Path, help="cell library, .lib or .lib.gz (generic)")
    parser.add_argument("--stages", type=int, default=0, help="registers in a dot product (0)")
    options = parser.parse_args(arguments)
    library = read(options.liberty)
    print(f"{library.name}, {library.unit} a multiply-accumulate, no clock constraint")
    heads = ("m", "n", "k", "dot", "operands", "door", "all", "NAND2")
    print(f"{'':34}" + "".join(f"{head:>9}" for head in heads), flush=True)
    for row in rows(library, options.stages):
        figures = (row.dot, row.operands, row.door, row.all, row.all / library.nand2.area)
        print(
            f"{row.name:34}{row.m:9}{row.n:9}{row.k:9}"
            + "".join(f"{figure:9.2f}" for figure in figures),
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
