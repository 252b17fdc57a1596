"""The hardware of the LUT tensor core: formats, configuration, weight layout, RTL, export."""

from .config import PRESETS, TensorCoreConfig, preset
from .errors import ConfigError, InputError, LutCoreError
from .layout import AffineWeights, PackedWeights, TernaryWeights, pack

__all__ = [
    "PRESETS",
    "AffineWeights",
    "ConfigError",
    "InputError",
    "LutCoreError",
    "PackedWeights",
    "TensorCoreConfig",
    "TernaryWeights",
    "pack",
    "preset",
]
