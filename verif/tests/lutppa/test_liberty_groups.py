"""The tree of a Liberty text: groups, attributes of each kind, and texts that are not whole."""

import pytest

from lutppa import generic
from lutppa.liberty_groups import numbers, parse

TEXT = r"""
/* a comment with { */
library ("one") {
  time_unit : "1ps"; capacitive_load_unit (1, ff);
  comment : "braces } in { a string";
  cell (A) { area : 2.5;
    pin (Y) { direction : output; function : "!(A & B)";
      timing () { related_pin : "A B";
        cell_rise (table_2x2) { index_1 ("1, 2"); values ( \
          "0.5, 1", \
          "2, 4e1" ); }
      }
      capacitance : 0.75
    }
  }
  cell ("B") { dont_use : true; }
}
"""


def test_tree():
    (library,) = parse(TEXT)
    assert (library.kind, library.name) == ("library", "one")
    assert library.get("time_unit") == "1ps"
    assert library.get("capacitive_load_unit") == "1, ff"
    assert library.get("comment") == "braces } in { a string"
    first, second = library.each("cell")
    assert (first.name, first.number("area")) == ("A", 2.5)
    assert (second.name, second.get("dont_use"), second.get("area", "none")) == (
        "B",
        "true",
        "none",
    )
    (pin,) = first.groups
    assert pin.attributes == {
        "direction": "output",
        "function": "!(A & B)",
        "capacitance": "0.75",
    }
    (timing,) = pin.groups
    assert (timing.name, timing.get("related_pin")) == ("", "A B")
    (table,) = timing.groups
    assert table.name == "table_2x2"
    assert numbers(table.get("index_1")) == [1.0, 2.0]
    assert numbers(table.get("values")) == [0.5, 1.0, 2.0, 40.0]


def test_own_library():
    (library,) = parse(generic.text())
    assert [cell.name for cell in library.each("cell")] == [cell.name for cell in generic.CELLS]


def test_text_that_ends_early():
    with pytest.raises(EOFError):
        parse(TEXT[: TEXT.rindex("}")])
