"""`lutcore gemm`: one matrix product from files, by the golden model or by the simulated RTL."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from lutcore.layout import check_weights
from lutverif import golden

from .files import in_file, read_activations, read_weights, results_file
from .options import ConfigOption, PresetOption, configuration

__all__ = ["gemm"]


def gemm(
    activations: Annotated[Path, typer.Option(help="A.npy: [M, K] int8 or float16.")],
    weights: Annotated[
        Path,
        typer.Option(
            help="W.npz: codes [N, K], bits, scales, zeros [N, groups] and group; "
            "or ternary [N, K], scales and group."
        ),
    ],
    out: Annotated[Path, typer.Option(help="O.npz to write: out [M, N], cycles (rtl), config.")],
    backend: Annotated[
        Literal["golden", "rtl"], typer.Option(help="The golden model, or the RTL simulated.")
    ],
    preset: PresetOption = None,
    config: ConfigOption = None,
    output: Annotated[
        Literal["fp32", "int32"],
        typer.Option(help="int32: sums in units of scale / 2, for int8 activations."),
    ] = "fp32",
) -> None:
    """Multiply activations by weights, transposed, and write the product."""
    chosen = configuration(preset, config)
    a = read_activations(activations)
    w = read_weights(weights)
    with in_file(weights):
        check_weights(w, chosen)
    with in_file(activations):
        golden.check_activations(a, w, chosen, output)
    with results_file(out) as save:
        results = {"config": np.array(chosen.to_toml())}
        if backend == "rtl":
            # Imported here: it loads Amaranth, which the golden model does without.
            from lutverif import driver

            result = driver.gemm(a, w, chosen, output)
            results["out"], results["cycles"] = result.out, np.array(result.cycles)
        else:
            results["out"] = golden.core(a, w, chosen, output)
        save(results)
