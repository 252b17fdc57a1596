"""The errors that a user can cause. Each message names the field, its value and what would do."""

__all__ = ["ConfigError", "InputError", "LutCoreError"]


class LutCoreError(ValueError):
    """Base of every error that the user can mend; the command prints it as one line, status 2."""


class ConfigError(LutCoreError):
    """A configuration that cannot be built, or that its file does not describe."""


class InputError(LutCoreError):
    """Weights, activations or files that do not fit together or do not hold what they should."""
