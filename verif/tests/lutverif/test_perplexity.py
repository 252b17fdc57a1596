"""What tables of 8 bits cost a language model, measured through the golden core."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from lutcore.config import PRESETS
from lutverif import golden, llama2c, quantise


def test_tables_of_8_bits_keep_the_perplexity(measuring_data: Path) -> None:
    model = llama2c.load(measuring_data / "models" / "stories260K")
    sample = (measuring_data / "text" / "tinystories_sample.txt").read_text(encoding="utf-8")
    stories = [story.strip() for story in sample.split("<|endoftext|>")][1:3]
    config = dataclasses.replace(
        PRESETS["paper"], name="paper_t8", table_bits=8, activations=("fp16",)
    )
    assert config.block == 64
    weights = {name: quantise.affine(w, 4, group=32) for name, w in model.weights.items()}
    real = {name: w.real() for name, w in weights.items()}
    without = model.perplexity(stories, lambda name, a: a @ real[name].T)
    through = model.perplexity(
        stories, lambda name, a: golden.core(a.astype(np.float16), weights[name], config)
    )
    assert abs(through / without - 1) <= 0.002, f"{through} with tables, {without} without"
