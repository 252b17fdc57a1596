"""`EngineConfig`: a core, the memory port beside it, and the buffers between the two."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from lutcore.config import TensorCoreConfig, read_toml
from lutcore.errors import ConfigError, check_range
from lutcore.formats import FloatFormat, IntegerFormat

__all__ = ["LEVELS", "REGISTERS", "EngineConfig"]

REGISTERS = 8
"""Address registers."""

LEVELS = 4
"""Loops that may be nested."""


@dataclass(frozen=True, kw_only=True)
class EngineConfig:
    """Parameters of an engine that runs LMMA programs on a core.

    core           the tensor core
    word_bytes     bytes of a word of the memory port; alignment of every address and stride
    address_bits   width of an address register (16 to 48); addresses count bytes
    a_steps        steps of activations that a slot of buffer A holds, m rows of k each
    w_beats        beats of weights that a slot of buffer W holds
    s_beats        beats of scales that a slot of buffer S holds
    program_words  instructions that a program may have

    Every buffer has two slots. Any violation raises ConfigError with the field, its value and what
    would do.
    """

    core: TensorCoreConfig
    word_bytes: int = 16
    address_bits: int = 40
    a_steps: int = 1024
    w_beats: int = 1024
    s_beats: int = 512
    program_words: int = 512

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self)[1:]:
            value = getattr(self, field.name)
            if type(value) is not int:
                raise ConfigError(f"{field.name} must be an integer, not {value!r}")
        for name, low, high in (
            ("address_bits", 16, 48),
            ("a_steps", self.core.max_steps, 1 << 16),
            ("w_beats", self.core.weight_bits * self.core.max_steps, 1 << 16),
            ("s_beats", 2 * self.core.column_groups, 1 << 16),
            ("program_words", 2, 1 << 16),
        ):
            check_range(name, getattr(self, name), low, high)
        if self.word_bytes not in (4, 8, 16, 32, 64, 128):
            raise ConfigError(
                f"word_bytes must be a power of two from 4 to 128, not {self.word_bytes}"
            )

    @classmethod
    def from_toml(cls, path: str | Path) -> EngineConfig:
        """Read a configuration file: the core's keys, and a table `engine` of the others, each of
        which may be left out."""
        core, sizes = TensorCoreConfig.from_toml(path), read_toml(path).get("engine", {})
        if not isinstance(sizes, dict):
            raise ConfigError(f"{path}: engine must be a table, not {sizes!r}")
        fields = [field.name for field in dataclasses.fields(cls)[1:]]
        for key in sizes:
            if key not in fields:
                known = ", ".join(fields)
                raise ConfigError(f"{path}: unknown key {key!r} in engine; known are {known}")
        try:
            return cls(core=core, **sizes)
        except ConfigError as error:
            raise ConfigError(f"{path}: engine: {error}") from None

    def to_toml(self) -> str:
        """The configuration as TOML text that `from_toml` reads back."""
        names = [field.name for field in dataclasses.fields(self)[1:]]
        sizes = "".join(f"{name} = {getattr(self, name)}\n" for name in names)
        return f"{self.core.to_toml()}[engine]\n{sizes}"

    @property
    def word_bits(self) -> int:
        """Bits of a word of the memory port."""
        return 8 * self.word_bytes

    @property
    def scale_bits(self) -> int:
        """Bits of the widest scale format built in."""
        return max(fmt.bits for fmt in self.core.scale_formats)

    @property
    def output_bits(self) -> int:
        """Bits of the widest result format built in."""
        return max(fmt.bits for fmt in self.core.output_formats)

    @property
    def weight_halvings(self) -> int:
        """How often the columns of a beat of weights can be halved, up to three times, such that
        columns and bytes are whole."""
        columns, bits = self.core.n, self.core.n * self.core.code_bits
        return sum(columns % (1 << i) == 0 and bits % (8 << i) == 0 for i in (1, 2, 3))

    def halvings(self, columns: int) -> int:
        """How often a beat of weights is halved to the smallest part that has so many columns."""
        most = self.weight_halvings
        return max(i for i in range(most + 1) if self.core.n >> i >= columns)

    @property
    def scale_beat_bytes(self) -> int:
        """Bytes of a beat of scales in memory: rescale_columns scales and z', in whole bytes."""
        return -(-self.core.rescale_columns * (self.scale_bits + self.core.zero_bits) // 8)

    def row_bytes(self, steps: int, bits: int) -> int:
        """Bytes of `steps` steps of a row of activations of `bits` bits."""
        return -(-steps * self.core.k * bits // 8)

    def words(self, size: int) -> int:
        """Words of the memory port that `size` bytes from an aligned address touch."""
        return -(-size // self.word_bytes)

    def aligned(self, size: int) -> int:
        """`size` bytes rounded up to whole words."""
        return self.words(size) * self.word_bytes

    def raw(self, fmt: FloatFormat | IntegerFormat) -> bool:
        """Whether activations of `fmt` may have INT32 results."""
        return "int32" in self.core.outputs and self.core.exact(fmt)
