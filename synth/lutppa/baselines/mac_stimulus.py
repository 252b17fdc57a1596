"""Stimulus of `MacArray` from a real workload, for the measurement of energy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lutcore.numbers import encode, rounded
from lutcore.weights import AffineWeights
from lutppa.activity import STREAMS, Words, words
from lutppa.stimulus import RESET, Stimulus, Workload, WrongNetlist

from .golden_mac import matmul, narrow_codes
from .mac_config import NARROW, MacConfig

__all__ = ["mac_stimulus", "operands"]


def operands(
    work: Workload, config: MacConfig, ordinary: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Codes of activations [M, K'] and of weights [N, K'], and what `matmul` takes of the latter.

    K' is K filled up with zeros to whole steps. A floating-point core takes the dequantised
    weights, or those before quantisation if `ordinary`; a narrow one the quantised digits, whose
    scale and zero point are left to an epilogue.
    """
    short = (0, -work.activations.shape[1] % config.k)

    def nearest(values: NDArray[Any]) -> NDArray[np.int64]:
        codes = encode(rounded(values.astype(np.float64), config.fmt), config.fmt)
        return np.pad(codes.astype(np.int64), ((0, 0), short))

    activations = nearest(work.activations)
    if not config.weights:
        codes = nearest(work.original if ordinary else work.weights.real())
        return activations, codes, codes
    weights = work.weights
    if isinstance(weights, AffineWeights):
        values = 2 * weights.codes.astype(np.int64) - ((1 << weights.bits) - 1)
    else:
        values = weights.ternary.astype(np.int64)
    # Where weights have no zero, any does beside an activation of zero.
    values = np.pad(values, ((0, 0), short), constant_values=NARROW[config.weights][-1])
    return activations, narrow_codes(values, config.weights), values


def mac_stimulus(
    work: Workload, config: MacConfig, cycles: int, ordinary: bool = False
) -> Stimulus:
    """Stimulus of `MacArray`: whole rounds of tiles, at least `cycles` of steps, one in each cycle.

    Tiles are those of `Workload.tiles`, 1 + stages of them take turns. The results are compared
    with the golden model.
    """
    c = config
    activations, codes, weights = operands(work, c, ordinary)
    wanted = matmul(activations, weights, c.fmt, c.numerics, bool(c.weights))
    steps, turns = activations.shape[1] // c.k, c.turns
    rounds = -(-cycles // (steps * turns))
    tiles = work.tiles(c.m, c.n, rounds * turns)
    beats: list[list[Words]] = [[], []]
    expected: list[Words] = []
    for first in range(0, rounds * turns, turns):
        # [steps, turns, streams, m or n, k]
        for side, operand, bits in ((0, activations, c.fmt.bits), (1, codes, c.weight_bits)):
            lines = (tiles.rows, tiles.columns)[side][:, first : first + turns]
            own = operand.reshape(len(operand), steps, c.k)[lines].transpose(3, 1, 0, 2, 4)
            beats[side].append(words(own.reshape(steps * turns, STREAMS, -1), bits))
        for tile in range(first, first + turns):
            row, column = tiles.rows[:, tile], tiles.columns[:, tile]
            expected.append(words(wanted[row[:, None, :], column[:, :, None]][None], 32))
    step = np.repeat(np.arange(steps), turns)
    control = np.broadcast_to(
        np.tile(np.stack([step == 0, step == steps - 1], -1), (rounds, 1))[:, None],
        (rounds * len(step), STREAMS, 2),
    )

    def port(words_: Words) -> Words:
        return np.concatenate([np.zeros((RESET, words_.shape[1]), np.uint64), words_])

    def check(outputs: dict[str, Words]) -> None:
        payload = outputs["o_results__payload"][RESET:]
        found = payload[np.flatnonzero(outputs["o_results__valid"][RESET:, 0])]
        # The last results are still on their way when the stimulus ends.
        right = np.concatenate(expected)[: len(expected) - turns] if rounds > 1 else found
        if len(found) < len(right) or (found[: len(right)] != right).any():
            raise WrongNetlist(f"results of {work.name} are not the golden model's")

    valid = np.full((RESET + rounds * len(step), 1), ~np.uint64(0))
    valid[:RESET] = 0
    return Stimulus(
        ports={
            "rst": ~valid,
            "i_activations__valid": valid,
            "i_activations__payload": port(
                np.concatenate([np.concatenate(beats[0]), words(control, 1)], axis=1)
            ),
            "i_weights__valid": valid,
            "i_weights__payload": port(np.concatenate(beats[1])),
            "o_results__ready": np.full_like(valid, ~np.uint64(0)),
        },
        warm_up=RESET + 2 + c.stages,
        products=c.m * c.n * work.activations.shape[1] / steps,
        check=check,
    )
