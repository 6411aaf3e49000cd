"""A command whose output nobody reads to its end, as behind `| head`, ends without a word."""

import os
import subprocess
import sys

import pytest


def _run_with_closed_reader(words: list[str]) -> subprocess.CompletedProcess[str]:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        return subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=120)
    finally:
        os.close(writing)


@pytest.mark.parametrize("package", ["gan", "tune", "styletransfer"])
def test_help_that_nobody_reads_says_nothing(package: str) -> None:
    done = _run_with_closed_reader([sys.executable, "-m", package, "--help"])
    assert (done.returncode, done.stderr) == (1, "")


def test_output_that_nobody_reads_says_nothing_when_python_writes_it_at_its_end() -> None:
    script = (
        "from common.cli.command import leave, run_command; leave(run_command('x', lambda: print('y') or 0))"
    )
    done = _run_with_closed_reader([sys.executable, "-c", script])
    assert (done.returncode, done.stderr) == (1, "")


def test_another_broken_pipe_is_a_fault_that_is_shown() -> None:
    script = (
        "from common.cli.command import run_command\ndef run(): raise BrokenPipeError\nrun_command('x', run)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "BrokenPipeError" in done.stderr
