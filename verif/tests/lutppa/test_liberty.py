"""Liberty files: what is found in them, and what is said of those that will not do."""

import gzip

import pytest

from lutcore.errors import InputError
from lutppa import generic, liberty

SMALL = """/* a { brace in a comment */
library ("small") {
  cell (FF) { area : 4.5 ;
    ff ("IQ", "IQN") { clocked_on : "C"; next_state : "D"; }
    pin (C) { direction : input; } pin (D) { direction : input; }
    pin (Q) { direction : output; function : "IQ"; timing () { when : "{"; area : 9; } }
  }
  cell ("NA") { area : 2.0; dont_use : false;
    pg_pin (V) { direction : input; }
    pin (A) { direction : input; } pin (B) { direction : "input"; }
    pin (Y) { direction : output; function : "A' + B'"; } }
  cell (NB) { area : 1.0; dont_use : true; pin (A) { direction : input; }
    pin (B) { direction : input; } pin (Y) { direction : output; function : "!(A B)"; } }
  cell (ADD) { area : 8; pin (P) { direction : input; } pin (Q) { direction : input; }
    pin (R) { direction : input; }
    pin (CON) { direction : output; function : "!((P*Q)+(P*R)+(Q*R))"; }
    pin (S) { direction : output; function : "P^Q^R"; } }
}
"""


def _read(tmp_path, content, name="x.lib"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return liberty.read(path)


def test_cells(tmp_path):
    library = _read(tmp_path, SMALL)
    assert library.name == "small"
    assert library.unit == "um2"
    assert {name: cell.area for name, cell in library.cells.items()} == {
        "FF": 4.5,
        "NA": 2.0,
        "ADD": 8.0,
    }
    assert [name for name, cell in library.cells.items() if cell.flip_flop] == ["FF"]
    assert library.cells["NA"].inputs == ("A", "B")


def test_cells_not_to_be_used_are_cut_out(tmp_path):
    library = _read(tmp_path, SMALL)
    assert "(NB)" in SMALL and "(NB)" not in library.text
    assert library.text.count("cell (") == 3
    assert library.text.count("{") - library.text.count('"{"') == library.text.count("}") + 1


def test_meanings_are_found_by_function(tmp_path):
    library = _read(tmp_path, SMALL)
    assert library.nand2.name == "NA"
    adder = library.full_adder
    assert adder is not None
    assert (adder.cell.name, adder.carry, adder.carry_inverted) == ("ADD", "CON", True)
    assert (adder.sum, adder.sum_inverted) == ("S", False)


def test_gzip_is_the_same_library(tmp_path):
    plain = _read(tmp_path, SMALL)
    packed = _read(tmp_path, gzip.compress(SMALL.encode()), "x.lib.gz")
    assert packed.cells == plain.cells
    assert packed.text == plain.text
    assert packed.sha256 != plain.sha256


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("A B", (False, False, False, True)),
        ("A & !B | B", (False, True, True, True)),
        ("(A B)'", (True, True, True, False)),
        ("A ^ B B", (False, True, False, False)),
        ("A + B * A'", (False, True, True, True)),
        ("1", (True,) * 4),
        ("IQ", None),
        ("(A", None),
    ],
)
def test_functions(function, expected):
    cell = liberty.Cell("c", 1.0, False, ("A", "B"), {"Y": function})
    assert cell.table("Y") == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("module x; endmodule", "x.lib: is not a Liberty file: it has no `library` group"),
        (b"\x00\xff\x00", "x.lib: is not a Liberty file: it has no `library` group"),
        (SMALL[:400], "x.lib: is not a whole Liberty file: it ends inside a group"),
        (
            SMALL.replace("ff (", "gg ("),
            "x.lib: has no flip-flop; a cell with an `ff` group would do",
        ),
        (
            SMALL.replace("A' + B'", "A + B"),
            "x.lib: has no NAND2, the measure of areas; a cell with the function !(A&B) would do",
        ),
        (
            SMALL.replace("area : 8;", ""),
            "x.lib: cell ADD has no area; `area : NUMBER;` would do",
        ),
        (SMALL.replace("area : 2.0", "area : 0"), "x.lib: area of NA must be positive, not 0.0"),
    ],
)
def test_errors(tmp_path, content, message):
    with pytest.raises(InputError) as error:
        _read(tmp_path, content)
    assert str(error.value) == message


def test_truncated_gzip(tmp_path):
    with pytest.raises(InputError, match=r"^x\.lib\.gz: is not a whole gzip file: "):
        _read(tmp_path, gzip.compress(generic.text().encode())[:-100], "x.lib.gz")


def test_missing_file(tmp_path):
    path = tmp_path / "none.lib"
    with pytest.raises(InputError) as error:
        liberty.read(path)
    assert str(error.value) == f"{path}: cannot be read: No such file or directory"
