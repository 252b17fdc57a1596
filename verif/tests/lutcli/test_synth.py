"""`lutcore synth`: what its options do not allow."""

import pytest

from lutcli.main import main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--fpga", "ecp5", "--liberty", "x.lib"],
            "--fpga ecp5 and --liberty x.lib: one of the two would do",
        ),
        (
            ["--fpga", "ecp5", "--clock", "1000"],
            "--fpga ecp5 and --clock 1000.0: one of the two would do",
        ),
        (["--no-place"], "--no-place belongs to --fpga"),
        (
            ["--fpga", "ECP5"],
            "fpga: family 'ECP5' is unknown; known are ecp5, ice40, xc7, gowin",
        ),
    ],
)
def test_bad_options(arguments, message, capsys, tmp_path):
    assert main(["synth", "--preset", "tiny", "--out", str(tmp_path / "out"), *arguments]) == 2
    assert capsys.readouterr().err == f"error: {message}\n"
    assert not (tmp_path / "out").exists()
