"""`make sim`: the layers of a model through golden model and RTL, every output bit compared."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from lutcore.config import PRESETS, TensorCoreConfig
from lutcore.formats import ACTIVATIONS
from lutcore.layout import pack
from lutcore.outputs import write_files, writing
from lutcore.weights import AffineWeights, TernaryWeights

from . import driver, golden, quantise, workload
from .native import NativeModel, core_model

__all__ = ["Row", "main"]

GROUP = 32
GEMMS = {"w4": tuple(ACTIVATIONS)} | {w: ("int8", "fp16") for w in ("w3", "w2", "w1", "ternary")}
"""Formats of weights, and the activations that each is multiplied by: all of them by W4."""

COUNT = sum(map(len, GEMMS.values()))

Weights = AffineWeights | TernaryWeights


@dataclass(frozen=True)
class Row:
    """One layer in one format: what the table shows, and the first difference if there is one.

    core_error is the relative RMS difference from the float64 product of the same quantised
    weights and activations; error is that from the model's own float weights and activations.
    """

    layer: str
    shape: str
    weights: str
    activations: str
    cycles: int
    steps: int
    core_error: float
    error: float
    seconds: float
    difference: Difference | None


@dataclass(frozen=True)
class Difference:
    """The first element in which RTL and golden model differ, and its tile's inputs."""

    m: int
    n: int
    golden: np.float32
    rtl: np.float32
    activations: NDArray[np.generic]
    weights: Weights


def main(model: Path | None = None, waves: bool = False, out: Path = Path("build/sim")) -> int:
    """Compare every layer in every format on the `paper` core and print the table.

    model: directory of a llama2.c checkpoint; None for the embedded model. waves: write a waveform
    of the tile that differs, or of the first tile. Returns 0, or 1 where a bit differs; the inputs
    of that tile then lie in `out` as files for `lutcore gemm`.
    """
    # A log is wide enough for the table; a terminal decides for itself.
    console = Console() if sys.stdout.isatty() else Console(width=120)
    config = PRESETS["paper"]
    layers = workload.load(model)
    rows: list[Row] = []
    columns = (TextColumn("{task.description:40}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task("compiling the core", total=len(layers) * COUNT)
        with core_model(config) as core:
            for layer in layers:
                for weights in GEMMS:
                    progress.update(task, description=f"{layer.name} {weights}")
                    for row in _layer_rows(core, layer, weights, config):
                        rows.append(row)
                        progress.advance(task)
    console.print(_table(rows, config))
    different = [row for row in rows if row.difference is not None]
    elements = sum(layer.activations.shape[0] * layer.weights.shape[0] for layer in layers)
    elements *= COUNT
    cycles = sum(row.cycles for row in rows)
    if different:
        _report(console, different[0], config, out)
    else:
        console.print(
            f"{elements:,} outputs of {len(rows)} GEMMs in {cycles:,} cycles: "
            "RTL and golden model agree in every bit"
        )
    if waves:
        first = different[0] if different else None
        console.print(f"waveform: {_waves(first, layers[0], config, out)}")
    return 1 if different else 0


def _quantised(weights: NDArray[np.float32], name: str) -> Weights:
    if name == "ternary":
        return quantise.ternary(weights, weights.shape[1])
    return quantise.affine(weights, int(name[1:]), GROUP)


def _layer_rows(
    core: NativeModel, layer: workload.Layer, name: str, config: TensorCoreConfig
) -> Iterator[Row]:
    """The layer with weights in format `name`, by activations of every format of `GEMMS`."""
    weights = _quantised(layer.weights, name)
    packed = pack(weights, config)
    reference = layer.activations.astype(np.float64) @ layer.weights.T.astype(np.float64)
    for fmt in GEMMS[name]:
        activations, scales = quantise.activation_rows(layer.activations, ACTIVATIONS[fmt])
        begin = time.perf_counter()
        expected = golden.core(activations, weights, config, activation_type=fmt)
        result = driver.run(core, activations, packed, config, activation_type=fmt)
        same = activations.astype(np.float64) @ weights.real().T
        yield Row(
            layer=layer.name,
            shape=f"{activations.shape[0]} x {weights.scales.shape[0]} x {activations.shape[1]}",
            weights=name,
            activations=fmt,
            cycles=result.cycles,
            steps=result.steps,
            core_error=_relative(result.out - same, same),
            error=_relative(result.out * scales.astype(np.float64)[:, None] - reference, reference),
            seconds=time.perf_counter() - begin,
            difference=_difference(expected, result.out, activations, weights, config),
        )


def _relative(difference: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(difference) / np.linalg.norm(reference))


def _difference(
    expected: NDArray[np.generic],
    found: NDArray[np.generic],
    activations: NDArray[np.generic],
    weights: Weights,
    config: TensorCoreConfig,
) -> Difference | None:
    wrong = np.argwhere(expected.view(np.uint32) != found.view(np.uint32))
    if not len(wrong):
        return None
    m, n = (int(i) for i in wrong[0])
    rows = slice(m - m % config.m, m - m % config.m + config.m)
    columns = slice(n - n % config.n, n - n % config.n + config.n)
    return Difference(
        m, n, expected[m, n], found[m, n], activations[rows], _columns(weights, columns)
    )


def _columns(weights: Weights, columns: slice) -> Weights:
    scales = weights.scales[columns]
    if isinstance(weights, TernaryWeights):
        return TernaryWeights(weights.ternary[columns], scales, weights.group)
    zeros = weights.zeros[columns]
    return AffineWeights(weights.codes[columns], weights.bits, scales, zeros, weights.group)


def _table(rows: list[Row], config: TensorCoreConfig) -> Table:
    table = Table(
        box=SIMPLE, title=f"core {config.name}: M{config.m} N{config.n} K{config.k}, group {GROUP}"
    )
    for name in ("layer", "M x N x K", "format"):
        table.add_column(name, no_wrap=True)
    for name in ("cycles", "lanes busy", "core error", "error", "seconds", "bits"):
        table.add_column(name, justify="right", no_wrap=True)
    for row, after in zip(rows, [*rows[1:], None], strict=True):
        table.add_row(
            row.layer,
            row.shape,
            f"{row.weights} x {row.activations}",
            f"{row.cycles:,}",
            f"{row.steps / row.cycles:.1%}",
            f"{row.core_error:.1e}",
            f"{row.error:.1e}",
            f"{row.seconds:.2f}",
            "equal" if row.difference is None else "DIFFER",
            end_section=after is None or after.layer != row.layer,
        )
    return table


def _report(console: Console, row: Row, config: TensorCoreConfig, out: Path) -> None:
    """The first difference, and its tile as files for `lutcore gemm`."""
    found = row.difference
    assert found is not None
    arrays = {"scales": found.weights.scales, "group": np.array(found.weights.group)}
    if isinstance(found.weights, TernaryWeights):
        arrays["ternary"] = found.weights.ternary
    else:
        arrays |= {"codes": found.weights.codes, "bits": np.array(found.weights.bits)}
        arrays["zeros"] = found.weights.zeros
    files = {out / "activations.npy": io.BytesIO(), out / "weights.npz": io.BytesIO()}
    activations, weights = files.values()
    np.save(activations, found.activations)
    np.savez(weights, allow_pickle=False, **arrays)
    write_files({path: file.getvalue() for path, file in files.items()})
    golden_bits, rtl_bits = (int(v.view(np.uint32)) for v in (found.golden, found.rtl))
    inputs = ", ".join(str(v) for v in found.activations[found.m % config.m][:8])
    real = ", ".join(f"{v:g}" for v in found.weights.real()[found.n % config.n][:8])
    console.print(
        f"[red]RTL and golden model differ:[/] {row.layer} {row.weights} {row.activations}, "
        f"first at output \\[{found.m}, {found.n}]\n"
        f"  golden {found.golden!s} (0x{golden_bits:08x}), rtl {found.rtl!s} (0x{rtl_bits:08x})\n"
        f"  activations {inputs}, ...\n  weights {real}, ...\n"
        f"  again: lutcore gemm --preset {config.name} --activations {out}/activations.npy "
        f"--activation-type {row.activations} --weights {out}/weights.npz --backend rtl "
        f"--out {out}/rtl.npz",
        soft_wrap=True,
    )


def _waves(row: Row | None, layer: workload.Layer, config: TensorCoreConfig, out: Path) -> Path:
    """A waveform of the tile that differs, or of the first tile of the first layer."""
    if row is not None and row.difference is not None:
        activations, weights = row.difference.activations, row.difference.weights
        activation_type = row.activations
    else:
        activations, activation_type = layer.activations[: config.m], "fp16"
        weights = _columns(_quantised(layer.weights, next(iter(GEMMS))), slice(0, config.n))
    path = out / "tile.vcd"
    with writing(path):
        out.mkdir(parents=True, exist_ok=True)
    driver.gemm(activations, weights, config, activation_type=activation_type, waves=path)
    return path
