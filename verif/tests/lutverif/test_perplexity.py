"""What tables of 8 bits cost a language model, measured through the golden core."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lutcore.config import TensorCoreConfig
from lutcore.errors import InputError
from lutcore.formats import ACTIVATIONS
from lutverif import perplexity

TABLES8 = Path(__file__).parents[3] / "docs" / "examples" / "tables8.toml"


def test_the_perplexity_of_the_model(measuring_data: Path) -> None:
    config = TensorCoreConfig.from_toml(TABLES8)
    texts = perplexity.read_texts(measuring_data / "text" / "tinystories_sample.txt", [2, 3])
    result = perplexity.measure(measuring_data / "models" / "stories260K", texts, 4, 32, config)
    assert result.full == pytest.approx(3.0747, abs=5e-5)
    assert result.full < result.exact and result.uncertainty == 0


@pytest.mark.parametrize("activation_type", ACTIVATIONS)
def test_tables_of_8_bits_keep_the_perplexity(measuring_data: Path, activation_type: str) -> None:
    """Within 0.2 %, up to twice the error of so few draws. For INT4 8 bits are exact."""
    config = replace(TensorCoreConfig.from_toml(TABLES8), activations=tuple(ACTIVATIONS))
    assert (config.table_bits, config.block) == (8, 64)
    texts = perplexity.read_texts(measuring_data / "text" / "tinystories_sample.txt", [2, 3])
    model = measuring_data / "models" / "stories260K"
    repeat = 1 if activation_type == "int4" else 4
    result = perplexity.measure(model, texts, 4, 32, config, activation_type, repeat)
    target = 0 if activation_type == "int4" else 0.002
    assert abs(result.change) <= target + 2 * result.uncertainty + 1e-9, result
    assert result.uncertainty < 0.015


def test_activation_types_that_are_not_built_in() -> None:
    config = TensorCoreConfig.from_toml(TABLES8)
    text = "^activation type must be one of int4, .* e5m2, not 'fp8'$"
    with pytest.raises(InputError, match=text):
        perplexity.measure(Path("nowhere"), ["text"], 4, 32, config, "fp8")
    config = replace(config, activations=("fp16",))
    with pytest.raises(InputError, match="^activations are int8, but the .* is built for fp16; "):
        perplexity.measure(Path("nowhere"), ["text"], 4, 32, config, "int8")


def test_texts(tmp_path: Path) -> None:
    path = tmp_path / "stories.txt"
    path.write_text("\nOne.\n<|endoftext|>\nTwo.\n<|endoftext|>\nThree.\n<|endoftext|>\n")
    assert perplexity.read_texts(path) == ["One.", "Two.", "Three."]
    assert perplexity.read_texts(path, [3, 2]) == ["Three.", "Two."]
    with pytest.raises(InputError, match=r"stories\.txt: story must be 1\.\.3, not 4$"):
        perplexity.read_texts(path, [4])
    path.write_text(" \n")
    with pytest.raises(InputError, match=r"stories\.txt: holds no text$"):
        perplexity.read_texts(path)
    path.write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"stories\.txt: must be UTF-8 text, but byte 0 is not$"):
        perplexity.read_texts(path)
    with pytest.raises(InputError, match=r"nowhere: cannot be read: No such file or directory$"):
        perplexity.read_texts(tmp_path / "nowhere")
