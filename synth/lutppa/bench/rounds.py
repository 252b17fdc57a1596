"""What the benches of baselines share: traffic in rounds, and a cycle contract without gaps."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lutverif.bench.runner import CONFIGURATION
from lutverif.bench.streams import Bench

__all__ = ["configuration", "moves", "traffic"]

Beats = dict[str, list[int]]


def configuration() -> str:
    """The JSON text of the design's configuration."""
    return Path(os.environ[CONFIGURATION]).read_text()


def traffic(one: Callable[[], Beats], count: int) -> tuple[Beats, list[int]]:
    """Beats of `count` rounds of all streams, and the steps that each takes."""
    rounds = [one() for _ in range(count)]
    beats = {name: [word for beat in rounds for word in beat[name]] for name in rounds[0]}
    return beats, [len(beat["i_weights"]) for beat in rounds]


async def moves(bench: Bench, beats: Beats) -> list[int]:
    """The cycle in which each step was taken, activations and weights at once, without a gap."""
    await bench.reset()
    bench.send(beats)
    await bench.finish()
    taken: Any = bench.inputs["i_weights"].moves
    assert taken == bench.inputs["i_activations"].moves
    assert taken == list(range(taken[0], taken[0] + len(taken))), "a gap"
    return taken
