"""Every weight type times every activation type: oracle, golden model and RTL."""

from __future__ import annotations

import numpy as np
import pytest

from lutblas import matrix
from lutblas.matrix import Mismatch, combinations
from lutblas.types import TYPES
from lutcore.config import PRESETS
from lutcore.formats import ACTIVATIONS


def test_every_combination_on_tiny() -> None:
    found = list(combinations(PRESETS["tiny"]))
    assert {item.activation_type for item in found} == set(ACTIVATIONS)
    assert len(found) == 7 * (len(TYPES) + 1) and len(TYPES) >= 16
    assert all(item.outputs > 0 and item.error <= 1 for item in found)
    # With INT8, products of short weights are exact; a lookup of FP16 is not.
    exact = {(item.activation_type, item.weight_type) for item in found if item.exact}
    assert {("int8", name) for name in ("int4", "mxfp4", "nvfp4", "q4_1", "ternary")} <= exact
    assert ("fp16", "int4") not in exact


def test_one_pass_ternary() -> None:
    names = ("ternary", "tq1_0", "int4", "fp4_e2m1", "nf4")
    found = list(combinations(PRESETS["ternary"], types={name: TYPES[name] for name in names}))
    assert [item.planes for item in found[::2]] == [1, 1, 4, 4, 15]


def test_a_wrong_output_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = matrix.driver.run

    def wrong(*arguments: object, **options: object) -> object:
        result = right(*arguments, **options)  # type: ignore[arg-type]
        result.out.view(np.uint32)[1, 2] ^= 1
        return result

    monkeypatch.setattr(matrix.driver, "run", wrong)
    with pytest.raises(Mismatch, match=r"^int4 x int4: RTL\[1, 2\] is .*; 1 of "):
        list(combinations(PRESETS["tiny"], types={"int4": TYPES["int4"]}))
