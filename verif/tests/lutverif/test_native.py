"""The cache of compiled models, and what the harness says when something is missing."""

from __future__ import annotations

import os
import time

import pytest

from lutverif import native


def test_built_once_and_only_whole(tmp_path, monkeypatch):
    monkeypatch.setenv("LUTCORE_CACHE", str(tmp_path / "cache"))
    built = []

    def build(work):
        built.append(work)
        (work / "model").write_text("whole")

    def failing(work):
        (work / "model").write_text("half")
        raise native.HarnessError("no")

    with pytest.raises(native.HarnessError), native.cached("entry", failing):
        pass
    assert not (tmp_path / "cache" / "entry").exists()
    for _ in range(2):
        with native.cached("entry", build) as entry:
            assert (entry / "model").read_text() == "whole"
    assert len(built) == 1


def test_unused_entries_are_forgotten(tmp_path, monkeypatch):
    monkeypatch.setenv("LUTCORE_CACHE", str(tmp_path))

    def build(work):
        (work / "model").write_text("x")

    for name in ("old", "used"):
        with native.cached(name, build):
            pass
    long_ago = time.time() - native.KEPT_SECONDS - 60
    for name in ("old", "used"):
        os.utime(tmp_path / name, (long_ago, long_ago))
    with native.cached("used", build):
        pass
    with native.cached("new", build):
        pass
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"used", "new"}


@pytest.mark.parametrize("tool", ["g++", "make", "perl"])
def test_a_missing_tool_is_named(tool, monkeypatch):
    which = native.shutil.which
    monkeypatch.setattr(native.shutil, "which", lambda name: None if name == tool else which(name))
    native.verilator.cache_clear()
    with pytest.raises(native.HarnessError) as error:
        native.verilator()
    assert str(error.value) == f"{tool} is missing; install the Debian package {tool}"
    monkeypatch.undo()
    native.verilator.cache_clear()


def test_a_model_that_does_not_compile(tmp_path, monkeypatch):
    monkeypatch.setenv("LUTCORE_CACHE", str(tmp_path))
    stream = native.StreamPort("i", True, 8)
    with pytest.raises(
        native.HarnessError, match=r"does not compile; .*failed-build\.log says why$"
    ):
        native.NativeModel("module top(); nonsense endmodule", "top", [stream])
    assert "nonsense" in (tmp_path / "failed-build.log").read_text()
