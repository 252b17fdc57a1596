"""A long random comparison of RTL and golden model: `python -m lutverif.soak`.

Random GEMMs of every kind of operand run on the compiled cores of several configurations, with
random stalls on every stream and resets in the middle of the work; every output bit is compared.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lutcore import PRESETS, AffineWeights, TensorCoreConfig, TernaryWeights, pack
from lutcore.errors import LutCoreError

from .bench import stimulus
from .driver import jobs, run
from .golden import core
from .native import HarnessError, NativeModel, core_model

__all__ = ["CONFIGURATIONS", "Mismatch", "Soak"]

CONFIGURATIONS: dict[str, TensorCoreConfig] = PRESETS | {
    config.name: config
    for config in (
        TensorCoreConfig(
            name="narrow", m=1, n=1, lookup_group=2, block=2, table_bits=9, weight_bits=1
        ),
        TensorCoreConfig(
            name="integers", m=3, n=2, lookup_group=2, groups_per_step=3, block=24, table_bits=9,
            activations=("int8", "int4"), outputs=("int32", "fp16"), rescale_columns=2,
        ),
        TensorCoreConfig(
            name="floats", m=1, n=6, lookup_group=5, block=20, table_bits=4,
            weight_bits=3, zero_bits=5, activations=("e5m2", "fp16", "bf16"),
            scales=("bf16", "e8m0", "fp16", "fp32"), outputs=("bf16",), rescale_columns=2,
        ),
        TensorCoreConfig(
            name="precise", m=1, n=2, lookup_group=6, block=12, table_bits=16,
            weight_bits=4, zero_bits=8, activations=("fp16", "int8", "int16", "e4m3"),
        ),
        TensorCoreConfig(
            name="pairs", m=2, n=4, lookup_group=2, groups_per_step=3, block=24, table_bits=9,
            weight_bits=3, activations=("int8", "fp16", "e4m3"),
            scales=("fp32", "fp16"), outputs=("fp32", "int32", "bf16"), rescale_columns=2,
        ),
        TensorCoreConfig(
            name="trits", m=2, n=3, table_digits=3, lookup_group=2, groups_per_step=3, block=18,
            table_bits=9, weight_bits=2, activations=("int8", "bf16", "int16"),
            scales=("e4m3", "fp32"), outputs=("int32", "fp32", "fp16"), rescale_columns=3,
        ),
        TensorCoreConfig(
            name="piped", m=2, n=2, lookup_group=2, groups_per_step=6, block=24, table_bits=9,
            weight_bits=2, activations=("int8", "fp16"), scales=("fp32", "fp16"),
            outputs=("fp32", "int32", "bf16"), rescale_columns=2, pipeline=2,
        ),
        TensorCoreConfig(
            name="deep", m=1, n=4, lookup_group=2, groups_per_step=4, block=32, table_bits=8,
            weight_bits=1, zero_bits=4, activations=("int4", "fp16"), scales=("fp32", "fp16"),
            outputs=("int32", "fp32", "fp16"), rescale_columns=2, pipeline=3,
        ),
        TensorCoreConfig(
            name="symmetric", m=1, n=4, lookup_group=2, groups_per_step=2, block=16, table_bits=8,
            weight_bits=1, zero_bits=0, activations=("fp16", "int4"), scales=("fp16", "bf16"),
            outputs=("fp32", "int32"), rescale_columns=1,
        ),
        TensorCoreConfig(
            name="started", m=2, n=6, lookup_group=3, block=12, weight_bits=2, zero_bits=4,
            activations=("int8", "fp16"), outputs=("bf16", "int32", "fp32"), rescale_columns=2,
            addends=True,
        ),
        TensorCoreConfig(
            name="started_piped", m=1, n=4, lookup_group=2, groups_per_step=6, block=24,
            table_bits=9, weight_bits=2, activations=("int8", "fp16"), scales=("fp32", "fp16"),
            outputs=("fp32", "int32", "bf16"), rescale_columns=1, pipeline=2, addends=True,
        ),
        TensorCoreConfig(
            name="cut", m=2, n=4, lookup_group=3, block=12, weight_bits=2, zero_bits=4,
            activations=("int8", "bf16"), scales=("fp16", "fp32"), outputs=("int32", "fp32"),
            rescale_columns=2, truncate=True,
        ),
        TensorCoreConfig(
            name="cut_piped", m=1, n=6, lookup_group=2, groups_per_step=4, block=32, table_bits=8,
            weight_bits=1, zero_bits=0, activations=("fp16",), scales=("fp16", "e8m0"),
            outputs=("fp32",), rescale_columns=2, pipeline=2, addends=True, truncate=True,
        ),
    )
}  # fmt: skip
"""The presets, and the edges of the parameters in small cores.

narrow    one lane, one plane, one step: every width at its smallest
integers  exact formats alone; all columns rescaled at once
floats    no integer format; the coarsest tables; results of 16 bits
precise   the finest tables, the largest lookup group, INT8 exact and INT16 not
pairs     tables of subset sums, several a step: `dense` and `dense8` in small
trits     tables of ternary digits, scales of E4M3
piped     most registers of `pipeline`; an accumulator is needed again at once
deep      all of them
symmetric weights without zero points, of one plane
started   accumulators that start from addends; `started_piped` where psums have to be taken ahead
cut       accumulations that truncate; `cut_piped` with registers for a fast clock and addends
"""

LONGEST_RESET = 400  # cycles before a reset in the middle


class Mismatch(LutCoreError):
    """RTL and golden model differ; the message has the inputs of the first element that does."""


class Soak:
    """The core of one configuration, compiled, compared round by round.

    A round depends on its seed alone: a reset, at times an interrupted GEMM and another reset,
    then two GEMMs on end.
    """

    def __init__(self, config: TensorCoreConfig) -> None:
        self.config = config
        self.model: NativeModel = core_model(config)

    def round(self, seed: int) -> int:
        """Output elements compared. Raises Mismatch, or HarnessError if the core misbehaves."""
        rng = np.random.default_rng(seed)
        self.model.reset()
        if rng.random() < 0.5:
            self._interrupt(rng)
            self.model.reset(int(rng.integers(1, 4)))
        return sum(self._compare(rng, seed) for _ in range(2))

    def _operands(
        self, rng: np.random.Generator
    ) -> tuple[NDArray[Any], str, AffineWeights | TernaryWeights, str]:
        """Activations, their format, weights, and the format of the output."""
        config = self.config
        m = int(rng.integers(1, 3 * config.m + 2))
        n = int(rng.integers(1, 2 * config.n + 2))
        k = int(rng.integers(1, 3 * config.block + 2))
        fmt = config.formats[rng.integers(len(config.formats))]
        outputs = [name for name in config.outputs if name != "int32" or config.exact(fmt)]
        output = str(rng.choice(outputs))
        values = stimulus.activations(rng, fmt, m, k)
        return values, fmt.name, stimulus.weights(rng, n, k, config, output == "int32"), output

    def _addends(
        self, rng: np.random.Generator, shape: tuple[int, int], output: str
    ) -> NDArray[Any] | None:
        """What results of `shape` start from, where that is not zero."""
        if not self.config.addends or rng.random() < 0.3:
            return None
        return stimulus.addends(rng, shape, output)

    def _stalls(self, rng: np.random.Generator) -> dict[str, int]:
        streams = (port.name for port in self.model.streams)
        return {name: int(rng.choice([0, 0, 64, 160, 235])) for name in streams}

    def _interrupt(self, rng: np.random.Generator) -> None:
        """Leaves the core in the middle of a GEMM."""
        activations, name, weights, output = self._operands(rng)
        job = next(jobs(activations, pack(weights, self.config), self.config, output, name))
        limit = int(rng.integers(1, LONGEST_RESET))
        try:
            self.model.run(
                job.beats,
                {"o_outputs": job.outputs},
                stalls=self._stalls(rng),
                seed=int(rng.integers(1 << 32)),
                limit=limit,
            )
        except HarnessError as error:
            if f"after {limit} cycles" not in str(error):
                raise

    def _compare(self, rng: np.random.Generator, seed: int) -> int:
        activations, name, weights, output = self._operands(rng)
        shape = len(activations), weights.shape[0]
        addends = self._addends(rng, shape, output)
        want = core(activations, weights, self.config, output, name, addends)
        result = run(
            self.model,
            activations,
            pack(weights, self.config),
            self.config,
            output,
            name,
            addends,
            stalls=self._stalls(rng),
            seed=int(rng.integers(1 << 32)),
        )
        got = result.out
        different = np.argwhere(_bits(got) != _bits(want))
        if len(different):
            row, column = (int(i) for i in different[0])
            raise Mismatch(
                _report(row, column, len(different), activations, weights, want, got)
                + ("" if addends is None else f"\naddend: {addends[row, column]}")
                + f"\n{name} activations, output {output}"
                + f"\nreproduce: python -m lutverif.soak --only {self.config.name} "
                f"--seed {seed} --count 1"
            )
        return want.size


def _bits(values: NDArray[Any]) -> NDArray[Any]:
    return values.view(f"u{values.itemsize}")


def _report(
    row: int,
    column: int,
    count: int,
    activations: NDArray[Any],
    weights: AffineWeights | TernaryWeights,
    want: NDArray[Any],
    got: NDArray[Any],
) -> str:
    affine = isinstance(weights, AffineWeights)
    codes = weights.codes if affine else weights.ternary
    offsets = weights.offsets if affine else None
    where = (row, column)
    kind = f"{weights.bits} bits" if affine else "ternary"
    return "\n".join(
        [
            f"output[{row}, {column}] is {got[where]} ({_bits(got)[where]:#x}), golden "
            f"{want[where]} ({_bits(want)[where]:#x}); {count} of {want.size} differ",
            f"{activations.dtype} {activations.shape} by {codes.shape}, {kind}, "
            f"group {weights.group}, output {want.dtype}",
            f"activations: {activations[row].tolist()}",
            f"weights: {codes[column].tolist()}",
            f"scales: {weights.scales[column].tolist()}",
            f"offsets: {None if offsets is None else offsets[column].tolist()}",
            f"z': {weights.doubled_zeros[column].tolist()}",
        ]
    )


def rounds(configs: list[TensorCoreConfig], seed: int, count: int) -> Iterator[tuple[str, int]]:
    """(configuration, elements compared) of every round, the configurations in turn."""
    soaks: dict[str, Soak] = {}
    for index in range(count):
        for config in configs:
            if config.name not in soaks:
                soaks[config.name] = Soak(config)
            try:
                yield config.name, soaks[config.name].round(seed + index)
            except LutCoreError as error:
                kind = type(error)
                raise kind(f"{config.name}, seed {seed + index}: {error}") from None


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit status is 1 on the first difference."""
    parser = argparse.ArgumentParser(prog="python -m lutverif.soak", description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="rounds a configuration (200)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first round (1)")
    parser.add_argument("--minutes", type=float, help="stop after so many minutes at the latest")
    parser.add_argument("--only", choices=CONFIGURATIONS, help="one configuration instead of all")
    options = parser.parse_args(arguments)
    configs = [CONFIGURATIONS[options.only]] if options.only else list(CONFIGURATIONS.values())
    deadline = time.monotonic() + 60 * options.minutes if options.minutes else None
    compared = finished = 0
    try:
        for _, elements in rounds(configs, options.seed, options.count):
            compared += elements
            finished += 1
            if deadline is not None and time.monotonic() > deadline:
                break
    except LutCoreError as error:
        print(error)
        return 1
    print(f"{compared} output elements compared in {finished} rounds; all bits equal")
    return 0


if __name__ == "__main__":
    sys.exit(main())
