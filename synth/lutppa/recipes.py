"""What is known of open libraries beside their Liberty files, by a pattern of their names."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

__all__ = ["PLAIN", "RECIPES", "Recipe", "recipe"]


@dataclass(frozen=True)
class Recipe:
    """How a library is used.

    pattern     of the name of the Liberty group
    dont_use    patterns of cells to leave out, beside those that the file itself marks
    """

    name: str
    pattern: str
    dont_use: tuple[str, ...]


PLAIN = Recipe("any", "*", ())
"""Of a library that is not known."""

RECIPES: tuple[Recipe, ...] = (
    Recipe(
        "ASAP7",
        "asap7sc7p5t_*",
        # The inverting flip-flop is a fifth smaller, and mapping absorbs its inverter. Of scan and
        # clock cells none is logic.
        ("DFFHQx4_*", "ICG*", "SDF*"),
    ),
    Recipe(
        "SKY130",
        "sky130_fd_sc_*",
        # Level shifters, isolation and probe pads are no logic; delay cells and clock buffers are
        # slow or large buffers, and `_0` drives nearly nothing.
        ("*lpflow*", "*probe*", "*__dly*", "*__clkdly*"),
    ),
    Recipe(
        "IHP SG13G2",
        "sg13g2_stdcell_*",
        ("sg13g2_dlygate*", "sg13g2_lgcp_1", "sg13g2_slgcp_1", "sg13g2_sighold", "sg13g2_dfrbp_2"),
    ),
)
"""Libraries that are known."""


def recipe(library: str) -> Recipe:
    """The recipe of the library of that name; `PLAIN` if it has none."""
    return next((known for known in RECIPES if fnmatchcase(library, known.pattern)), PLAIN)
