"""Boolean expressions as truth tables and as C."""

from itertools import product

import numpy as np
import pytest

from lutppa.expression import Code, evaluate, names

ROWS = np.array(list(product((False, True), repeat=3))).T
VALUES = dict(zip("ABC", ROWS, strict=True)) | {"0": np.zeros(8, bool), "1": np.ones(8, bool)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A B + C", lambda a, b, c: (a and b) or c),
        ("A ^ B C'", lambda a, b, c: (a != b) and not c),
        ("!(A + B) | (C)'", lambda a, b, c: not (a or b) or not c),
        ("A & 1 ^ 0", lambda a, b, c: a),
        ("!A' * !B ^ C", lambda a, b, c: a and (not b) != c),
    ],
)
def test_as_truth_table_and_as_c(text, expected):
    wanted = [bool(expected(*row)) for row in ROWS.T.tolist()]
    assert evaluate(text, VALUES).tolist() == wanted
    code = evaluate(text, {name: Code(name) for name in "ABC"} | {"0": Code("0"), "1": Code("~0")})
    # C's operators bind as Python's do.
    for row, want in zip(ROWS.T.tolist(), wanted, strict=True):
        assert eval(code, dict(zip("ABC", map(int, row), strict=True))) & 1 == want


def test_names_once_in_order():
    assert names("!(B A1 + B) ^ A[0]") == ["B", "A1", "A[0]"]


@pytest.mark.parametrize(("text", "error"), [("A Q", KeyError), ("(A", IndexError), ("", KeyError)])
def test_what_is_no_expression(text, error):
    with pytest.raises(error):
        evaluate(text, VALUES)
