"""The project's own cell library: static CMOS counted in transistors, areas in NAND2 equivalents.

A cell has the area of its transistors over the four of a NAND2, and the delay of logical effort:
parasitic + load, in units of tau, with the load in input capacitances of an inverter. It belongs to
no process and shows proportions only. docs/area.md derives every row.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CELLS", "NAME", "GenericCell", "text"]

NAME = "lutppa_generic"


@dataclass(frozen=True)
class GenericCell:
    """A row of the library.

    outputs     Liberty function by output pin; of a flip-flop, of its state IQ
    transistors static CMOS, unit drive
    effort      logical effort: capacitance of an input in units of an inverter's
    parasitic   delay without load, in units of tau
    next_state  of a rising-edge flip-flop with clock CK; empty for a gate
    """

    name: str
    inputs: str
    outputs: dict[str, str]
    transistors: int
    effort: float
    parasitic: float
    next_state: str = ""

    @property
    def area(self) -> float:
        """In NAND2 equivalents."""
        return self.transistors / 4


def _gate(
    name: str, inputs: str, function: str, transistors: int, effort: float, parasitic: float
) -> GenericCell:
    return GenericCell(name, inputs, {"Y": function}, transistors, effort, parasitic)


CELLS: tuple[GenericCell, ...] = (
    _gate("INV", "A", "!A", 2, 1, 1),
    _gate("BUF", "A", "A", 4, 1, 2),
    _gate("NAND2", "AB", "!(A&B)", 4, 4 / 3, 2),
    _gate("NAND3", "ABC", "!(A&B&C)", 6, 5 / 3, 3),
    _gate("NAND4", "ABCD", "!(A&B&C&D)", 8, 2, 4),
    _gate("NOR2", "AB", "!(A|B)", 4, 5 / 3, 2),
    _gate("NOR3", "ABC", "!(A|B|C)", 6, 7 / 3, 3),
    _gate("AND2", "AB", "A&B", 6, 4 / 3, 3),
    _gate("OR2", "AB", "A|B", 6, 5 / 3, 3),
    _gate("AOI21", "ABC", "!((A&B)|C)", 6, 2, 3),
    _gate("OAI21", "ABC", "!((A|B)&C)", 6, 2, 3),
    _gate("AOI22", "ABCD", "!((A&B)|(C&D))", 8, 2, 4),
    _gate("OAI22", "ABCD", "!((A|B)&(C|D))", 8, 2, 4),
    _gate("XOR2", "AB", "A^B", 10, 3, 5),
    _gate("XNOR2", "AB", "!(A^B)", 10, 3, 5),
    _gate("MUX2", "ABS", "(A&!S)|(B&S)", 12, 2, 5),
    GenericCell("FA", "ABC", {"CO": "(A&B)|(A&C)|(B&C)", "S": "A^B^C"}, 28, 4, 6),
    GenericCell("DFF", "D", {"Q": "IQ"}, 24, 1, 6, next_state="D"),
    GenericCell("DFFE", "DE", {"Q": "IQ"}, 34, 2, 6, next_state="(D&E)|(IQ&!E)"),
)

_LOADS = (0.0, 64.0)  # Two points make a table a straight line.


def _timing(cell: GenericCell, related: str, kind: str) -> list[str]:
    row = ", ".join(f"{cell.parasitic + load:.1f}" for load in _LOADS)
    lines = [f'      timing () {{ related_pin : "{related}"; {kind}']
    for table in ("cell_rise", "cell_fall", "rise_transition", "fall_transition"):
        lines.append(f'        {table} (linear) {{ values ("{row}", "{row}"); }}')
    return [*lines, "      }"]


def _cell(cell: GenericCell) -> list[str]:
    lines = [f"  cell ({cell.name}) {{", f"    area : {cell.area};"]
    if cell.next_state:
        lines.append(f'    ff (IQ, IQN) {{ clocked_on : "CK"; next_state : "{cell.next_state}"; }}')
        lines.append("    pin (CK) { direction : input; clock : true; capacitance : 1.0; }")
    for pin in cell.inputs:
        lines.append(f"    pin ({pin}) {{ direction : input; capacitance : {cell.effort:.3f}; }}")
    for pin, function in cell.outputs.items():
        lines.append(f"    pin ({pin}) {{")
        lines.append(f'      direction : output; function : "{function}"; max_capacitance : 64.0;')
        if cell.next_state:
            lines += _timing(cell, "CK", "timing_type : rising_edge;")
        else:
            for related in cell.inputs:
                lines += _timing(cell, related, "timing_sense : non_unate;")
        lines.append("    }")
    return [*lines, "  }"]


def text() -> str:
    """The library as Liberty text; the same on every call."""
    loads = ", ".join(f"{load:.1f}" for load in _LOADS)
    lines = [
        f"library ({NAME}) {{",
        "  delay_model : table_lookup;",
        '  time_unit : "1ps";',
        "  capacitive_load_unit (1, ff);",
        '  voltage_unit : "1V";',
        '  current_unit : "1uA";',
        '  leakage_power_unit : "1nW";',
        "  lu_table_template (linear) {",
        "    variable_1 : input_net_transition;",
        "    variable_2 : total_output_net_capacitance;",
        f'    index_1 ("{loads}");',
        f'    index_2 ("{loads}");',
        "  }",
    ]
    for cell in CELLS:
        lines += _cell(cell)
    return "\n".join([*lines, "}", ""])
