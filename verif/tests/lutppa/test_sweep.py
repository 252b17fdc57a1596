"""Sweep files, and running them: what is kept when a sweep is killed, and a Dask cluster."""

import os
import re
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from lutcore.errors import InputError
from lutppa import fanout, liberty, measure, sweep

# Fan-out is counted in a lane, which is all that is mapped.
TINY = """
[defaults]
kind = "fanout"
design = "add"
m = 1
n = 2
k = 2
block = 8
weight_bits = 1
[[product]]
block = [8, 10]
"""


def test_product_and_points():
    text = "[defaults]\nm=1\n[[product]]\nn=[1,2]\nblock=[4,8]\n"
    text += "[[point]]\nn=1\nblock=4\n[[point]]\nm=3"
    points = sweep.parse(text, "name", "file").points
    assert points == [*({"m": 1, "n": n, "block": b} for n in (1, 2) for b in (4, 8)), {"m": 3}]


def test_defaults_of_a_design():
    text = "[defaults]\nm=1\n[defaults.add]\nk=4\nm=2\n[defaults.lut]\nblock=8\n"
    text += '[[product]]\ndesign="add"\nn=[1,2]\n[[point]]\nn=3\n[[point]]\ndesign="mac"\n'
    assert sweep.parse(text, "name", "file").points == [
        {"m": 2, "k": 4, "design": "add", "n": 1},
        {"m": 2, "k": 4, "design": "add", "n": 2},
        {"m": 1, "block": 8, "n": 3},
        {"m": 1, "design": "mac"},
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f: has no points; a table [[point]] or [[product]] would do"),
        ("x=1", "f: unknown key 'x'; known are defaults, product, point"),
        ("point=1", "f: point must be tables"),
        ("[[point]]\nm=", "f: is not TOML: Invalid value (at end of document)"),
        (
            "[[point]]\nm=[1]",
            "f: m of a point must be a number, a word or true or false, not [1]; formats that a "
            "design has at once are joined: int8+fp16",
        ),
        (
            "[defaults.lit]\nm=1\n[[point]]\nn=1",
            "f: defaults of design 'lit', which is unknown; known are lut, mac, native, add, full, "
            "unpu, unpu_reinterpreted, unpu_folded",
        ),
    ],
)
def test_wrong_files(text, message):
    with pytest.raises(InputError) as error:
        sweep.parse(text, "name", "f")
    assert str(error.value) == message


def test_missing_file():
    with pytest.raises(InputError) as error:
        sweep.load("no.toml")
    assert str(error.value) == (
        "no.toml: cannot be read: No such file or directory; "
        "packaged are default, fpga, headline, small"
    )


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({"design": "none"}, "point: design 'none' is unknown; known are lut, mac"),
        ({"kind": "beauty"}, "point: kind 'beauty' is unknown; known are area, fanout, clock"),
        ({"design": "add", "m": 1, "n": 2, "k": 2, "weight_bits": 9}, "weight_bits must be 1..8"),
    ],
)
def test_a_wrong_point_is_an_error_of_its_record(point, message):
    (record,) = sweep.run(sweep.Sweep("wrong", [point]), None, processes=1)
    assert record.error.startswith(message)
    assert not record.figures


@pytest.mark.parametrize(("loads", "limit", "expected"), [(8, 8, 0), (9, 8, 2), (128, 8, 18)])
def test_buffers(loads, limit, expected):
    assert fanout.buffers(loads, limit) == expected


def test_killed_and_resumed(tmp_path):
    """What was measured when a sweep was killed is not measured again, and no worker survives."""
    file, cache = tmp_path / "tiny.toml", tmp_path / "cache"
    file.write_text(TINY)
    command = [sys.executable, "-m", "lutppa.sweep", str(file), "--processes", "1"]
    command += ["--out", str(tmp_path / "out")]
    environment = {**os.environ, "LUTCORE_CACHE": str(cache)}

    def kept() -> int:
        return sum(entry.is_dir() for entry in cache.glob("point-*") if "." not in entry.name)

    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as running:
        end = time.monotonic() + 120
        while not kept() and time.monotonic() < end:
            time.sleep(0.02)
        workers = _children(running.pid)
        running.send_signal(signal.SIGKILL)
    found = kept()
    assert found == 1
    end = time.monotonic() + 10
    while any(map(_lives, workers)) and time.monotonic() < end:
        time.sleep(0.02)
    assert workers
    assert not any(map(_lives, workers))

    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    counts = re.search(r"2 points, (\d) measured before, (\d) measured now, 0 with", again.stdout)
    assert counts
    assert int(counts[1]) >= found
    assert int(counts[1]) + int(counts[2]) == 2


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def _lives(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_dask(tmp_path, monkeypatch):
    """Points measured by a Dask worker behind a tcp:// scheduler are those measured here."""
    from distributed import LocalCluster

    monkeypatch.setenv("LUTCORE_CACHE", str(tmp_path / "there"))
    points = sweep.parse(TINY, "tiny", "tiny").points
    options: dict[str, Any] = {"processes": False, "protocol": "tcp", "dashboard_address": None}
    made: Any = LocalCluster(n_workers=1, threads_per_worker=1, **options)
    with made as cluster:
        address = cluster.scheduler_address
        assert address.startswith("tcp://")
        records = sweep.run(sweep.Sweep("tiny", points), None, scheduler=address)
    library = liberty.read(None)
    assert [record.error for record in records] == ["", ""]
    assert not any(record.cached for record in records)
    assert all(measure.find(point, library) for point in points)
    monkeypatch.setenv("LUTCORE_CACHE", str(tmp_path / "here"))
    assert measure.measure(points[0], library).figures == records[0].figures


def test_no_scheduler():
    points = sweep.parse(TINY, "tiny", "tiny").points
    with pytest.raises(InputError, match="^scheduler nowhere://1: cannot be reached: "):
        sweep.run(sweep.Sweep("tiny", points), None, scheduler="nowhere://1")
