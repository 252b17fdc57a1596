"""What is known of open libraries beside their Liberty files, by a pattern of their names."""

from __future__ import annotations

from fnmatch import fnmatchcase

__all__ = ["DONT_USE", "dont_use"]

DONT_USE: dict[str, tuple[str, ...]] = {
    # ASAP7: the inverting flip-flop is a fifth smaller, and mapping absorbs its inverter. Of scan
    # and clock cells none is logic.
    "asap7sc7p5t_*": ("DFFHQx4_*", "ICG*", "SDF*"),
    # Level shifters, isolation and probe pads are no logic; delay cells are slow buffers.
    "sky130_fd_sc_*": ("*lpflow*", "*probe*", "*__dly*", "*__clkdly*"),
    # IHP: delay and clock gates are no logic, nor is the bus keeper.
    "sg13g2_stdcell_*": (
        "sg13g2_dlygate*", "sg13g2_lgcp_1", "sg13g2_slgcp_1", "sg13g2_sighold", "sg13g2_dfrbp_2",
    ),
}  # fmt: skip
"""By the name of the Liberty group: cells to leave out, beside those that the file itself marks."""


def dont_use(library: str) -> tuple[str, ...]:
    """Patterns of cells to leave out of the library of that name; none if it is not known."""
    return next((cells for name, cells in DONT_USE.items() if fnmatchcase(library, name)), ())
