"""`make sim`: what it reports, and what it does when RTL and golden model differ."""

from __future__ import annotations

import dataclasses

import numpy as np

from lutcli.files import read_activations, read_weights
from lutcore import PRESETS
from lutcore.weights import AffineWeights
from lutverif import driver, golden, simulate, workload


def only_the_classifier(monkeypatch):
    layer = workload.load()[-1]
    monkeypatch.setattr(workload, "load", lambda model: [layer])


def test_equal(monkeypatch, capsys, tmp_path):
    only_the_classifier(monkeypatch)
    assert simulate.main(out=tmp_path / "sim") == 0
    printed = capsys.readouterr().out
    assert f"{15 * 4608:,} outputs of 15 GEMMs" in printed and "agree in every bit" in printed
    assert "DIFFER" not in printed and printed.count("equal") == 15
    assert not (tmp_path / "sim").exists()


def test_a_single_wrong_bit_is_found(monkeypatch, capsys, tmp_path):
    only_the_classifier(monkeypatch)
    honest = driver.run

    def broken(model, activations, packed, config, output="fp32", activation_type=None, *rest):
        result = honest(model, activations, packed, config, output, activation_type, *rest)
        out = result.out.copy()
        if activation_type == "fp16" and packed.passes[0].planes == 3 and len(out) > 17:
            out.view(np.uint32)[17, 70] ^= 1
        return dataclasses.replace(result, out=out)

    monkeypatch.setattr(driver, "run", broken)
    assert simulate.main(waves=True, out=tmp_path) == 1
    printed = capsys.readouterr().out
    assert printed.count("DIFFER") == 1 and printed.count("equal") == 14
    assert "differ: classifier w3 fp16, first at output [17, 70]" in printed
    assert (tmp_path / "tile.vcd").stat().st_size > 1000
    # The tile of that output, as inputs of `lutcore gemm`: rows 16 and 17, columns 64 to 95.
    activations = read_activations(tmp_path / "activations.npy")
    weights = read_weights(tmp_path / "weights.npz")
    assert isinstance(weights, AffineWeights)
    assert activations.shape == (2, 128) and weights.scales.shape == (32, 4)
    value = golden.core(activations, weights, PRESETS["paper"])[1, 6]
    assert f"golden {value!s} (0x{int(value.view(np.uint32)):08x})" in printed
