from pathlib import Path

import pytest

from lutppa import buses, liberty


def test_area_of_a_narrow_bus(capsys: pytest.CaptureFixture[str]) -> None:
    amounts = dict(buses.measure(liberty.read(None), (32,)))
    assert len(amounts) == 3
    reader, writer, control = amounts.values()
    # Two beats with their flags, a request, and what counts; nothing else is that wide.
    assert 2 * 34 + 30 + 16 <= reader.flip_flops <= 2 * 34 + 30 + 16 + 30
    assert 36 + 30 + 16 <= writer.flip_flops <= 36 + 30 + 16 + 50
    assert control.flip_flops > 7 * 64
    assert buses.main(["--liberty", str(Path("/nowhere"))]) == 2
    assert "cannot be read" in capsys.readouterr().err
