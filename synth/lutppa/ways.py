"""Ways to map a module, for those that miss a clock with the smallest one.

The flow is that of `area`; but sums of more than four bits are parallel prefixes (Sklansky) in
place of ripple chains, and ABC may map for delay.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import NamedTuple

from lutverif import native

from . import area, polarity, yosys
from .liberty import Library
from .mapped import digest, flow, sources

__all__ = ["WAYS", "Way", "mapped", "netlist"]


class Way(NamedTuple):
    """A way of mapping.

    full_adders  compressors on the library's full-adder cell, else left to ABC
    abc          what ABC does
    """

    full_adders: bool
    abc: str


# dc2 makes a circuit smaller, and prefix sums ripple again; with -l no path becomes longer.
_SMALL = "strash;ifraig;scorr;dc2,-l;strash;"
_PLAIN = "strash;ifraig;scorr;strash;"
_AMAP = "dch,-f;amap;topo"
_NF = "&get,-n;&st;&dch,-f;&nf,-D,1;&put;topo"
_MAP = "dch,-f;map;topo"

WAYS: dict[str, Way] = {
    "fa prefix": Way(True, _SMALL + _AMAP),
    "fa prefix nf": Way(True, _SMALL + _NF),
    "prefix nf": Way(False, _SMALL + _NF),
    "fa prefix plain nf": Way(True, _PLAIN + _NF),
    "prefix plain nf": Way(False, _PLAIN + _NF),
    "prefix map": Way(False, _SMALL + _MAP),
}
"""By name; what comes later is as a rule larger and faster.

fa: compressors on full-adder cells; prefix: prefix sums; plain: not made smaller first, which
leaves prefix sums as they are; amap unless nf, for delay with area recovered, or map, for delay.
"""


# Of a few bits a ripple is no slower; a sum of three single bits is one, and a full adder.
_SUMS = """\
techmap -map chain.v t:$alu r:Y_WIDTH<=4 %i
techmap -map +/techmap.v -map +/choices/sklansky.v t:$alu t:$lcu
opt
"""


def mapped(verilog: str, top: str, library: Library, name: str) -> str | None:
    """`netlist`, kept by content; None where the way does not go with the library.

    ABC's `map` ends where a cell has no delay at the slew that it assumes. YosysError where Yosys
    ends without saying why, killed for example: that tells nothing of the way, and is not kept.
    """

    def build(work: Path) -> None:
        try:
            text = netlist(verilog, top, library, WAYS[name])
        except yosys.YosysError as error:
            if "ERROR" not in error.log:
                raise
            text = ""
        (work / "netlist.v").write_text(text)

    key = digest(verilog, top, library.sha256, name, flow(), sources(__file__))
    with native.cached(f"way-{key}", build) as entry:
        return (entry / "netlist.v").read_text() or None


def netlist(verilog: str, top: str, library: Library, way: Way) -> str:
    """The module `top` mapped in a way; of the modules below it nothing is kept."""
    adder = library.full_adder if way.full_adders else None
    front = area.FRONT.format(top=top) + _SUMS
    second = "read_verilog -lib cell.v\ntechmap -map adder.v\n" if adder else ""
    back = area.BACK.format(variant="mapped", abc=way.abc)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "design.v").write_text(verilog)
        (directory / "library.lib").write_text(library.text)
        (directory / "arithmetic.v").write_text(area.SPLIT)
        (directory / "chain.v").write_text(area.CHAIN)
        if adder:
            (directory / "cell.v").write_text(area.black_box(adder))
            (directory / "adder.v").write_text(area.adder_map(adder))
            yosys.run(directory, front + "write_json arithmetic.json\n")
            design = json.loads((directory / "arithmetic.json").read_text())
            if adder.carry_inverted and adder.sum_inverted:
                polarity.assign(design)
            (directory / "adders.json").write_text(json.dumps(design))
            front = "read_json adders.json\n"
        yosys.run(directory, front + second + back)
        return area.module_texts(directory / "mapped.v")[top]
