"""Labelling on Ray: the store of one process, through deaths; which Ray is joined."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from types import SimpleNamespace

import label_jobs
import pytest
from label_jobs import (
    ENVIRONMENT,
    PROGRAM,
    contents,
    held,
    panoramas,
    run,
    wait_until,
)

from mtpano_model.commands import main
from mtpano_model.errors import MtpanoError
from mtpano_model.labels.job.job import Job
from mtpano_model.labels.job.plan import Plan
from mtpano_model.labels.job.ray_cluster import connected
from mtpano_model.labels.job.ray_core import RayEngine
from mtpano_model.labels.job.report import job_state

alone = label_jobs.alone


def test_ray_labels_as_one_process_does(alone, tmp_path):
    pytest.importorskip("ray")
    folder, expected = alone
    store = tmp_path / "store"
    done = run("--input", folder, "--out", store, "--on", "ray:2", timeout=280)
    assert done.returncode == 0, done.stderr
    assert contents(store) == expected
    assert job_state(store).done == list(range(12))


@pytest.mark.slow
def test_ray_survives_a_killed_worker_and_a_bad_picture(tmp_path, alone):
    pytest.importorskip("ray")
    folder = panoramas(tmp_path / "panos", 12, "die", "raise")
    store = tmp_path / "store"
    driver = subprocess.Popen(
        [*PROGRAM, "--input", str(folder), "--out", str(store), "--on", "ray:2", "--slow", "0.3"],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENVIRONMENT,
    )  # fmt: skip
    wait_until(lambda: held(store) >= 2 and job_state(store).running, driver, 120)
    running = job_state(store).running[0]
    os.kill(Plan(store, 14).facts(running, "running")["pid"], signal.SIGKILL)
    output = driver.communicate(timeout=240)[0]
    assert driver.returncode == 0, output
    assert contents(store) == alone[1]
    assert len(job_state(store).skipped) == 2
    assert re.search("12 panoramas labelled, 2 skipped", output)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "nonsense"])
def test_a_ray_that_does_not_answer_is_one_sentence_at_once(tmp_path, monkeypatch, address):
    pytest.importorskip("ray")
    folder = panoramas(tmp_path / "panos", 1)
    monkeypatch.setitem(ENVIRONMENT, "RAY_ADDRESS", address)
    done = run("--input", folder, "--out", tmp_path / "s", "--on", "ray", timeout=60)
    assert done.returncode == 1
    assert re.search(r"Ray cannot be reached \(.*\): check RAY_ADDRESS", done.stderr)


class _NotThere:
    """Something that only this process can unpickle, as code that other nodes lack."""

    def __init__(self, pid: int):
        if os.getpid() != pid:
            raise ModuleNotFoundError("No module named 'mtpano_model'")
        self._pid = pid

    def __reduce__(self):
        return _NotThere, (self._pid,)


@pytest.mark.slow
def test_a_node_without_mtpano_is_one_sentence(tmp_path, monkeypatch):
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("RAY_ADDRESS", "local")
    job = Job(Plan(tmp_path, 1), _NotThere(os.getpid()), "", gpu=False)
    try:
        with pytest.raises(MtpanoError, match=r"cannot run a task \(ModuleNotFound.*\): install"):
            list(RayEngine(1).run(job, [0]))
    finally:
        ray.shutdown()


def test_without_ray_it_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    folder = panoramas(tmp_path / "panos", 1)
    assert main(["label", "--input", str(folder), "--out", str(tmp_path / "s"), "--teacher",
                 "oracle", "--on", "ray"]) == 1  # fmt: skip
    assert "needs the library 'ray'" in capsys.readouterr().err


@pytest.fixture
def inits(monkeypatch, tmp_path) -> list[dict]:
    """What a stand-in for Ray is told to join; RAY_TMPDIR is empty, RAY_ADDRESS not set."""
    told: list[dict] = []
    ray = SimpleNamespace(is_initialized=lambda: False, init=lambda **given: told.append(given))
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return told


def test_a_ray_is_joined_only_where_the_user_named_or_started_it(
    inits, tmp_path, monkeypatch, caplog
):
    caplog.set_level("INFO")
    with socket.create_server(("127.0.0.1", 0)) as head:
        address = f"127.0.0.1:{head.getsockname()[1]}"
        connected(2)
        assert (inits[-1]["address"], inits[-1]["num_cpus"]) == ("local", 2)
        assert "a new one on this machine" in caplog.text
        note = tmp_path / "ray" / "ray_current_cluster"
        note.parent.mkdir()
        note.write_text(address)
        connected(2)
        assert "address" not in inits[-1], "Ray reads it itself, and the user's token"
        assert f"the cluster at {address} that you started on this machine" in caplog.text
        monkeypatch.setattr(os, "getuid", lambda: 12345)
        connected(None)
        assert inits[-1]["address"] == "local"
        assert f"the cluster at {address} is another user's and is not joined" in caplog.text
        monkeypatch.setenv("RAY_ADDRESS", address)
        connected(None)
        assert inits[-1]["address"] == address
        assert f"the cluster at {address} (RAY_ADDRESS)" in caplog.text
        monkeypatch.setenv("RAY_ADDRESS", "local")
        connected(None)
        assert inits[-1]["address"] == "local"


def test_a_ray_that_ended_without_a_word_is_not_waited_for(inits, tmp_path):
    note = tmp_path / "ray" / "ray_current_cluster"
    note.parent.mkdir()
    for text in ("127.0.0.1:1", ""):
        note.write_text(text)
        connected(None)
        assert inits[-1]["address"] == "local"
