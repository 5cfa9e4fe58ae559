"""Child processes end with their parent, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mtpano_ros.tools.children import Children

ROOT = Path(__file__).parents[1]
# `-m this` sleeps without minding SIGTERM, as a process stuck in its work would.
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"


@pytest.fixture
def environment(tmp_path):
    """Modules `sleeper`, `stubborn` and `failing` to run as children."""
    (tmp_path / "sleeper.py").write_text("import time; time.sleep(60)")
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    (tmp_path / "failing.py").write_text("raise SystemExit(3)")
    return {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def eventually(condition, timeout: float = 10.0) -> bool:
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_leaving_the_block_ends_every_child_even_a_stubborn_one(environment, monkeypatch):
    monkeypatch.setattr("mtpano_ros.tools.children.PATIENCE_SECONDS", 0.5)
    children = Children(environment)

    def fail_with_children_running() -> None:
        with children:
            children.start("a", "sleeper")
            children.start("b", "stubborn")
            children.start("c", "failing")
            assert eventually(lambda: children.status("c") == 3)
            assert children.status("a") is None
            time.sleep(0.3)  # lets the stubborn one set its handler
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_with_children_running()
    assert children.status("a") != 0
    assert children.status("b") == -signal.SIGKILL


def test_a_child_that_has_not_begun_yet_ends_without_a_word(environment, tmp_path):
    """Python itself prints a traceback at a SIGINT that comes while it starts."""
    with open(tmp_path / "log", "w+b") as log:
        for moment in range(8):
            with Children(environment, log) as children:
                children.start("a", "sleeper")
                time.sleep(moment * 0.01)
        log.seek(0)
        assert log.read() == b""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a promise of Linux")
def test_a_killed_parent_takes_its_children_along(environment):
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, time\n"
            "from mtpano_ros.tools.children import Children\n"
            "with Children(os.environ) as children:\n"
            "    children.start('a', 'sleeper')\n"
            "    print(children.pid('a'), flush=True)\n"
            "    time.sleep(60)\n",
        ],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert alive(child)
    parent.kill()
    parent.wait()
    assert eventually(lambda: not alive(child))
