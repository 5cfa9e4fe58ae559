"""Labelling in tasks: on local processes, SLURM and Ray, through deaths, full disks, bad pictures.

The program that labels is `job_program.py`: a teacher that follows its pictures' colours, and does
what a picture's name says (dies, raises, takes its time).
"""

from __future__ import annotations

import os
import signal
import subprocess
import time

import cv2
import label_jobs
import numpy as np
import pytest
from label_jobs import ENVIRONMENT, PROGRAM, contents, held, panoramas, run, wait_until

from mtpano_model.labels.job.plan import Plan
from mtpano_model.labels.job.report import job_state

alone = label_jobs.alone


@pytest.mark.parametrize(
    "where", [("--on", "local:2"), pytest.param(("--worker", "1/3"), marks=pytest.mark.slow)]
)
def test_tasks_make_the_store_of_one_process(alone, tmp_path, where):
    folder, expected = alone
    done = run("--input", folder, "--out", tmp_path / "store", *where)
    assert done.returncode == 0, done.stderr
    assert "12 panoramas labelled, 0 skipped, 12 in the store" in done.stdout
    assert contents(tmp_path / "store") == expected
    status = run("--status", "--out", tmp_path / "store").stdout
    assert "of 12 tasks 12 done, 0 running, 0 lost, 0 failed, 0 waiting; 12 panoramas" in status
    again = run("--input", folder, "--out", tmp_path / "store", "--on", "local:3")
    assert "0 panoramas labelled, 0 skipped, 12 in the store" in again.stdout


@pytest.mark.slow
def test_one_process_and_tasks_go_on_with_each_others_store(alone, tmp_path):
    folder, expected = alone
    store = tmp_path / "store"
    assert run("--input", folder, "--out", store, "--limit", 3).returncode == 0
    assert run("--input", folder, "--out", store, "--on", "local:2", "--limit", 7).returncode == 0
    assert 7 <= held(store) <= 8  # two workers may add one each at the same moment
    assert run("--input", folder, "--out", store).returncode == 0
    assert contents(store) == expected
    assert run("--input", folder, "--out", store, "--on", "local:2").returncode == 0
    assert job_state(store).done == list(range(12))


@pytest.mark.slow
def test_another_number_of_tasks_or_more_pictures_label_nothing_twice(alone, tmp_path):
    folder = panoramas(tmp_path / "panos", 12)
    store = tmp_path / "store"
    for tasks in (5, 3):
        done = run("--input", folder, "--out", store, "--on", "local:2", "--tasks", tasks)
        assert done.returncode == 0, done.stderr
        assert job_state(store).tasks == tasks
    assert contents(store) == alone[1]
    cv2.imwrite(str(folder / "new.png"), np.full((32, 64, 3), 99, np.uint8))
    done = run("--input", folder, "--out", store, "--on", "local:2")
    assert "1 panoramas labelled, 0 skipped, 13 in the store" in done.stdout
    assert job_state(store).tasks == 3, "an earlier run's number of tasks stays"


def test_a_worker_killed_in_the_middle_of_a_task_is_replaced(alone, tmp_path):
    folder, expected = alone
    store = tmp_path / "store"
    driver = subprocess.Popen(
        [*PROGRAM, "--input", str(folder), "--out", str(store), "--on", "local:2", "--slow", "0.3"],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENVIRONMENT,
    )  # fmt: skip
    wait_until(lambda: held(store) >= 2 and job_state(store).running, driver)
    facts = Plan(store, 12).facts(job_state(store).running[0], "running")
    os.kill(facts["pid"], signal.SIGKILL)
    output = driver.communicate(timeout=60)[0]
    assert driver.returncode == 0, output
    assert "a worker died at task" in output
    assert "killed by SIGKILL" in output
    assert contents(store) == expected
    assert job_state(store).done == list(range(12))


@pytest.mark.slow
def test_the_driver_killed_takes_its_workers_along_and_the_next_goes_on(alone, tmp_path):
    folder, expected = alone
    store = tmp_path / "store"
    command = ["--input", str(folder), "--out", str(store), "--on", "local:2", "--slow", "0.3"]
    for number in (2, 4):
        driver = subprocess.Popen(
            [*PROGRAM, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=ENVIRONMENT,
        )  # fmt: skip
        wait_until(lambda number=number: held(store) >= number and job_state(store).running, driver)
        driver.kill()
        driver.wait()
        deadline = time.monotonic() + 20
        while job_state(store).running:
            assert time.monotonic() < deadline, "a worker outlived its driver"
            time.sleep(0.05)
    done = run(*command)
    assert done.returncode == 0, done.stderr
    assert contents(store) == expected
    assert job_state(store).skipped == {}, "no picture is blamed for a driver's death"


@pytest.mark.slow
def test_a_picture_that_kills_or_breaks_its_worker_is_named_and_the_rest_goes_on(tmp_path, alone):
    folder = panoramas(tmp_path / "panos", 12, "die", "raise")
    (folder / "torn.png").write_bytes((folder / "p03.png").read_bytes()[:40])
    store = tmp_path / "store"
    done = run("--input", folder, "--out", store, "--on", "local:2")
    assert done.returncode == 0, done.stderr
    assert "12 panoramas labelled, 3 skipped, 12 in the store" in done.stdout
    assert contents(store) == alone[1]
    failed = run("--failed", "--out", store).stdout
    for line in (
        "skipped panos/die.png: 3 workers died at this picture, the last time: the process ended",
        "skipped panos/raise.png: 3 workers died at this picture, the last time: ValueError: no",
        "skipped panos/torn.png: ",
    ):
        assert line in failed
    (folder / "torn.png").write_bytes((folder / "p03.png").read_bytes())
    assert (
        "1 panoramas labelled" in run("--input", folder, "--out", store, "--on", "local:2").stdout
    )


@pytest.mark.slow
def test_workers_that_cannot_start_end_the_job_with_a_sentence(alone, tmp_path):
    done = run("--input", alone[0], "--out", tmp_path / "s", "--on", "local:2", "--broken", 3)
    assert done.returncode == 1
    assert "10 workers died one after another before their first picture" in done.stderr
    assert "it ended with status 3" in done.stderr
    assert job_state(tmp_path / "s").failed == {}


@pytest.mark.slow
def test_a_full_disk_stops_it_with_a_sentence_and_loses_nothing(alone, tmp_path):
    folder, expected = alone
    store = tmp_path / "store"
    full = run("--input", folder, "--out", store, "--on", "local:2", "--largest-file", 2000,
               "--tasks", 2)  # fmt: skip
    assert full.returncode == 1
    assert "is full" in full.stderr
    assert "free some space and run the same command again" in full.stderr
    assert set(contents(store)) < set(expected) if held(store) else True
    assert run("--input", folder, "--out", store, "--on", "local:2").returncode == 0
    assert contents(store) == expected


@pytest.mark.slow
def test_two_drivers_on_one_store_are_told_apart(alone, tmp_path):
    folder, expected = alone
    store = tmp_path / "store"
    arguments = ("--input", folder, "--out", store, "--on", "local:1")
    first = subprocess.Popen(
        [*PROGRAM, *map(str, arguments), "--slow", "10"], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env=ENVIRONMENT,
    )  # fmt: skip
    wait_until(lambda: held(store) >= 1, first)
    second = run(*arguments)
    assert second.returncode == 1
    assert "another `mtpano label --on` labels" in second.stderr
    other = run(*arguments, "--seed", 5)
    assert "with other settings, pictures or tasks" in other.stderr
    first.send_signal(signal.SIGINT)
    first.wait(60)
    helper = run("--input", folder, "--out", store, "--worker", "1/2")
    assert helper.returncode == 0, helper.stderr
    assert contents(store) == expected
    other = run(*arguments, "--seed", 7)
    assert other.returncode == 1
    assert "was made with labels.seed 0, now it is 7" in other.stderr
