"""What tables cost in accuracy, by width, block, lookup group and number format.

Two measures, both through the golden core and both against exact products of the same quantised
operands: the relative RMS error of the embedded model's layers, and the change of a language
model's perplexity. docs/numerics.md shows and discusses the results.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lutcore.config import TensorCoreConfig, preset
from lutcore.formats import ACTIVATIONS

from . import golden, quantise, workload
from .perplexity import Experiment, Perplexity, summary

__all__ = [
    "ERRORS",
    "PERPLEXITIES",
    "TARGETS",
    "Change",
    "Point",
    "RmsError",
    "changes",
    "layer_error",
]

GROUP = 32
"""Weights that share a scale; as many as the block where that is longer, which would cut it."""

ROWS = 32
"""Most rows of activations of a layer whose error is measured."""

WIDTHS = (4, 5, 6, 7, 8, 9, 10, 12, 16)
BLOCKS = (4, 16, 64, 256)
FLOATS = ("fp16", "bf16", "e4m3", "e5m2")

TARGETS = {8: (0.002, 64), 6: (0.005, 4)}
"""By table bits: the change of perplexity that is accepted, and the block where it is judged."""


class Point(NamedTuple):
    """Weight bits, activation format, table bits and block."""

    bits: int
    activation_type: str
    table_bits: int
    block: int

    @property
    def config(self) -> TensorCoreConfig:
        """The preset `paper` with these tables."""
        return replace(preset("paper"), table_bits=self.table_bits, block=self.block)

    @property
    def group(self) -> int:
        """Weights that share a scale."""
        return max(GROUP, self.block)

    @property
    def exact(self) -> bool:
        """Whether tables hold every sum of these activations."""
        return self.config.exact(ACTIVATIONS[self.activation_type])

    @property
    def target(self) -> float | None:
        """The change of perplexity that is accepted, where the point is judged."""
        target, block = TARGETS.get(self.table_bits, (None, None))
        integer = self.activation_type in ("int4", "int8")
        return target if self.block == block and not (self.table_bits == 6 and integer) else None


ERRORS = [
    *(Point(4, name, t, 64) for name in ACTIVATIONS for t in WIDTHS),
    *(Point(4, name, 8, block) for name in ACTIVATIONS for block in BLOCKS if block != 64),
]

PERPLEXITIES = [
    *(Point(4, name, t, 64) for name in ACTIVATIONS for t in (4, 5, 6, 7, 8, 9, 10, 12)),
    *(Point(4, name, 8, b) for name in ACTIVATIONS for b in (4, 16, 256)),
    *(Point(4, name, 6, b) for name in ("int16", *FLOATS) for b in (4, 16)),
    *(Point(8, name, 8, 64) for name in ACTIVATIONS),
    *(Point(8, name, 6, 4) for name in ("int16", *FLOATS)),
]


@dataclass(frozen=True)
class RmsError:
    """Relative RMS error of layer outputs at a point."""

    point: Point
    value: float


@dataclass(frozen=True)
class Change:
    """Perplexity at a point, with what it was with exact products, over a number of draws."""

    point: Point
    perplexity: Perplexity
    draws: int

    @property
    def value(self) -> float:
        """The relative change."""
        return self.perplexity.change

    @property
    def uncertainty(self) -> float:
        """The standard error of the change."""
        return self.perplexity.uncertainty


def layer_error(point: Point) -> RmsError:
    """The error of the embedded model's outputs, its layers weighing alike."""
    fmt, squares = ACTIVATIONS[point.activation_type], []
    for layer in workload.load():
        weights = quantise.affine(layer.weights, point.bits, point.group)
        values, scales = quantise.activation_rows(layer.activations[:ROWS], fmt)
        exact = values.astype(np.float64) @ weights.real().T * scales[:, None]
        core = golden.core(values, weights, point.config, activation_type=fmt.name)
        error = core.astype(np.float64) * scales[:, None] - exact
        squares.append(np.mean(error**2) / np.mean(exact**2))
    return RmsError(point, float(np.sqrt(np.mean(squares))))


@lru_cache(maxsize=1)
def _experiment(
    model: Path, texts: tuple[str, ...], bits: int, group: int, name: str
) -> Experiment:
    return Experiment(model, list(texts), bits, group, name)


class _Draw(NamedTuple):
    """A perplexity to compute in a process of its own; `config` None: exact products."""

    model: Path
    texts: tuple[str, ...]
    bits: int
    group: int
    activation_type: str
    config: TensorCoreConfig | None
    seed: int

    def perplexity(self) -> float:
        experiment = _experiment(
            self.model, self.texts, self.bits, self.group, self.activation_type
        )
        return experiment.perplexity(self.config, self.seed)


def changes(
    points: Iterable[Point],
    model: Path,
    texts: list[str],
    precision: float = 0.0008,
    most: int = 96,
    processes: int = 2,
) -> Iterator[Change]:
    """The change of perplexity at each point, in lots of four draws.

    Draws go on until the standard error is at most `precision`, or the change is ten times as far
    from 0, or there are `most`. Exact products are drawn once for a kind of operands.
    """
    exact: dict[tuple[int, int, str], list[float]] = {}
    size = 4
    with ProcessPoolExecutor(processes) as pool:
        for point in points:
            kind = (point.bits, point.group, point.activation_type)
            baseline, core = exact.setdefault(kind, []), []

            def more(
                drawn: list[float],
                config: TensorCoreConfig | None,
                kind: tuple[int, int, str] = kind,
            ) -> None:
                seeds = range(len(drawn), len(drawn) + size)
                draws = [_Draw(model, tuple(texts), *kind, config, seed) for seed in seeds]
                drawn += pool.map(_Draw.perplexity, draws)

            while True:
                if len(baseline) <= len(core):
                    more(baseline, None)
                if point.exact:
                    core = list(baseline)
                else:
                    more(core, point.config)
                found = summary(0.0, baseline, core)
                enough = max(precision, abs(found.change) / 10)
                if point.exact or found.uncertainty <= enough or len(core) >= most:
                    yield Change(point, found, len(core))
                    break
