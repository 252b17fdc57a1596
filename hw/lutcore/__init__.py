"""The hardware of the LUT tensor core: formats, configuration, weight layout, RTL, export."""

from .config import PRESETS, TensorCoreConfig, preset
from .errors import ConfigError, InputError, LutCoreError
from .layout import PackedWeights, pack
from .weights import AffineWeights, PlaneWeights, TernaryWeights

__all__ = [
    "PRESETS",
    "AffineWeights",
    "ConfigError",
    "InputError",
    "LutCoreError",
    "PackedWeights",
    "PlaneWeights",
    "TensorCoreConfig",
    "TernaryWeights",
    "pack",
    "preset",
]
