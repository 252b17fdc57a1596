"""The errors that a user can cause. Each message names the field, its value and what would do.

The checks are those that configurations have in common.
"""

__all__ = ["ConfigError", "InputError", "LutCoreError", "check_power_of_two", "check_range"]


class LutCoreError(ValueError):
    """Base of every error that the user can mend; the command prints it as one line, status 2."""


class ConfigError(LutCoreError):
    """A configuration that cannot be built, or that its file does not describe."""


class InputError(LutCoreError):
    """Weights, activations or files that do not fit together or do not hold what they should."""


def check_range(field: str, value: object, low: int, high: int) -> None:
    """ConfigError unless the integer `value` of `field` is in low..high."""
    if type(value) is not int:
        raise ConfigError(f"{field} must be an integer, not {value!r}")
    if not low <= value <= high:
        raise ConfigError(f"{field} must be {low}..{high}, not {value}")


def check_power_of_two(field: str, value: int, low: int, high: int) -> None:
    """ConfigError unless `value` of `field` is a power of two in low..high."""
    check_range(field, value, low, high)
    if value & (value - 1):
        below = 1 << (value.bit_length() - 1)
        raise ConfigError(f"{field} must be a power of two, not {value}; {below} would do")
