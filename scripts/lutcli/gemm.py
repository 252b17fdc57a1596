"""`lutcore gemm`: one matrix product from files, by the golden model or by the simulated RTL."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from lutblas.tensors import Tensor, product
from lutcore.layout import check_weights
from lutverif import golden

from .files import in_file, read_activations, read_array, read_weights, results_file
from .options import ConfigOption, PresetOption, configuration

__all__ = ["gemm"]


def gemm(
    activations: Annotated[
        Path, typer.Option(help="A.npy: [M, K] integers, or float16 or float32 of the type.")
    ],
    weights: Annotated[
        Path,
        typer.Option(
            help="W.npz: codes [N, K], bits, scales, zeros [N, groups] and group; or ternary "
            "[N, K], scales and group; or, with --weight-type, codes, scales and what the type "
            "needs. FILE.gguf or FILE.safetensors with --tensor."
        ),
    ],
    out: Annotated[Path, typer.Option(help="O.npz to write: out [M, N], cycles (rtl), config.")],
    backend: Annotated[
        Literal["golden", "rtl"], typer.Option(help="The golden model, or the RTL simulated.")
    ],
    preset: PresetOption = None,
    config: ConfigOption = None,
    activation_type: Annotated[
        str | None,
        typer.Option(
            help="int4, int8, int16, fp16, bf16, e4m3 or e5m2.", show_default="by A's data type"
        ),
    ] = None,
    weight_type: Annotated[
        str | None, typer.Option(help="A name of `lutcore types`, or codebook.", show_default=False)
    ] = None,
    tensor: Annotated[
        str | None, typer.Option(help="Name in a GGUF or safetensors file.", show_default=False)
    ] = None,
    addends: Annotated[
        Path | None,
        typer.Option(
            help="C.npy: [M, N] float32, or int32 for int32, that the sums start from; the core "
            "needs addends = true.",
            show_default="zeros",
        ),
    ] = None,
    output: Annotated[
        Literal["fp32", "fp16", "bf16", "int32"],
        typer.Option(help="int32: sums in units of scale / 2, for integers held exactly."),
    ] = "fp32",
) -> None:
    """Multiply activations by weights, transposed, add to C, and write the result."""
    chosen = configuration(preset, config)
    a = read_activations(activations, activation_type)
    w = read_weights(weights, weight_type, tensor)
    with in_file(weights):
        ready = w.weights(chosen) if isinstance(w, Tensor) else w
        check_weights(ready, chosen)
    with in_file(activations):
        golden.check_activations(a, ready, chosen, output, activation_type)
    c = None
    if addends is not None:
        c = read_array(addends)
        with in_file(addends):
            c = golden.check_addends(c, (len(a), ready.shape[0]), ready, chosen, output)
    with results_file(out) as save:
        results = {"config": np.array(chosen.to_toml())}
        if isinstance(w, Tensor):
            done = product(a, w, chosen, backend, output, activation_type, c)
            results["out"] = done.out
            if done.cycles is not None:
                results["cycles"] = np.array(done.cycles)
        elif backend == "rtl":
            # Imported here: it loads Amaranth, which the golden model does without.
            from lutverif import driver

            result = driver.gemm(a, w, chosen, output, activation_type, addends=c)
            results["out"], results["cycles"] = result.out, np.array(result.cycles)
        else:
            results["out"] = golden.core(a, w, chosen, output, activation_type, c)
        save(results)
