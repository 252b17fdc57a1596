"""docs/lmma.md has the tables of the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from lutcore.errors import InputError
from lutcore.lmma.document import renewed

DOCUMENT = Path(__file__).parents[4] / "docs" / "lmma.md"


def test_the_document_is_up_to_date():
    text = DOCUMENT.read_text(encoding="utf-8")
    assert renewed(text) == text, "python -m lutcore.lmma.document docs/lmma.md"


def test_a_document_without_the_part():
    with pytest.raises(InputError, match=r"^the document has no part from "):
        renewed("# LMMA")
