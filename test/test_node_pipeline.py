"""The three threads by themselves: newest wins, nothing in vain, nothing stops them but stop."""

from __future__ import annotations

import threading
import time
from collections import Counter
from statistics import median

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: source ROS 2 or install extra 'ros'")

from node_harness import wait_until

from mtpano_ros.frames.pipeline import Pipeline


class Recorder:
    """Stages that take a set time, or wait for an event, and remember their jobs."""

    def __init__(self, prepare=0.0, infer=0.0, finish=0.0):
        self.seconds = {"prepare": prepare, "infer": infer, "finish": finish}
        self.jobs = {name: [] for name in self.seconds}
        self.ages, self.born = {}, {}
        self.dropped, self.failed = [], []
        self.pipeline = Pipeline(
            *(self.stage(name) for name in self.seconds),
            dropped=self.dropped.append,
            failed=lambda job, stage, error: self.failed.append((job, stage, str(error))),
        )

    def stage(self, name):
        def run(job):
            self.jobs[name].append(job)
            if name == "infer" and job in self.born:
                self.ages[job] = time.monotonic() - self.born[job]
            wait = self.seconds[name]
            if isinstance(wait, threading.Event):
                wait.wait(10)
            elif isinstance(wait, Exception):
                raise wait
            elif callable(wait):
                wait()
            else:
                time.sleep(wait)

        return run

    def offer(self, job):
        self.born[job] = time.monotonic()
        self.pipeline.offer(job)

    def settled(self, offered):
        done = len(self.jobs["finish"]) + len(self.dropped) + len(self.failed)
        return done == offered


def test_every_job_goes_through_when_there_is_time():
    recorder = Recorder()
    for job in range(20):
        recorder.offer(job)
        wait_until(lambda job=job: job in recorder.jobs["finish"])
    assert recorder.pipeline.stop()
    assert recorder.jobs["finish"] == list(range(20))
    assert recorder.dropped == []


def test_a_newer_job_takes_the_place_of_the_waiting_one():
    gate = threading.Event()
    recorder = Recorder(infer=gate)
    recorder.offer("first")
    wait_until(lambda: recorder.jobs["infer"])
    recorder.offer("next")  # prepared at once, as nobody knows yet how long the first will take
    wait_until(lambda: "next" in recorder.jobs["prepare"])
    for job in ("old", "older", "newest"):
        recorder.offer(job)
    gate.set()
    wait_until(lambda: recorder.settled(5))
    recorder.pipeline.stop()
    assert recorder.jobs["finish"] == ["first", "next", "newest"]
    assert recorder.dropped == ["old", "older"]


def test_overload_counts_every_drop_once_and_infers_only_fresh_images():
    """Five times more than the network takes."""
    recorder = Recorder(prepare=0.002, infer=0.03)
    for job in range(150):
        recorder.offer(job)
        time.sleep(0.006)
    wait_until(lambda: recorder.settled(150))
    recorder.pipeline.stop()
    done = recorder.jobs["finish"]
    assert Counter(done + recorder.dropped) == Counter(range(150))
    assert done == sorted(done)
    assert 10 <= len(done) < 75
    # Prepared just in time: it has not waited for a whole turn of the network.
    assert median(list(recorder.ages.values())[5:]) < 0.02
    assert len(recorder.jobs["prepare"]) == len(done), "nothing was prepared in vain"


def test_stages_work_side_by_side():
    meeting = threading.Barrier(3)
    recorder = Recorder()

    def meet(stage, after):
        """While the pipeline fills, the first stages have nobody to meet."""

        def wait():
            if len(recorder.jobs[stage]) > after:
                meeting.wait(10)

        return wait

    for stage, after in (("prepare", 2), ("infer", 1), ("finish", 0)):
        recorder.seconds[stage] = meet(stage, after)
    offering = threading.Event()

    def offer():
        while not offering.wait(0.002):
            recorder.offer(time.monotonic())

    threading.Thread(target=offer, daemon=True).start()
    # A stage gets on only while the two others are at work too, on other images.
    wait_until(lambda: len(recorder.jobs["finish"]) > 5)
    offering.set()
    meeting.abort()
    recorder.pipeline.stop()


def test_nothing_is_inferred_in_vain_when_publishing_is_slow():
    recorder = Recorder(finish=0.04)
    for job in range(60):
        recorder.offer(job)
        time.sleep(0.004)
    wait_until(lambda: recorder.settled(60))
    recorder.pipeline.stop()
    assert recorder.jobs["infer"] == recorder.jobs["finish"]


@pytest.mark.parametrize("stage", ["prepare", "infer", "finish"])
def test_what_a_stage_raises_costs_one_job(stage):
    recorder = Recorder(**{stage: ValueError("one bad image")})
    recorder.offer("bad")
    wait_until(lambda: recorder.failed)
    recorder.seconds[stage] = 0.0
    recorder.offer("good")
    wait_until(lambda: "good" in recorder.jobs["finish"])
    recorder.pipeline.stop()
    assert recorder.failed == [("bad", stage, "one bad image")]


def test_stop_ends_the_threads_and_gives_up_what_waits():
    before = threading.active_count()
    gate = threading.Event()
    recorder = Recorder(infer=gate)
    recorder.offer("under way")
    wait_until(lambda: recorder.jobs["infer"])
    recorder.offer("waiting")
    threading.Timer(0.1, gate.set).start()
    assert recorder.pipeline.stop()
    recorder.offer("too late")
    wait_until(lambda: threading.active_count() <= before)
    assert recorder.jobs["infer"] == ["under way"]
    assert {"waiting", "too late"} <= set(recorder.dropped)


def test_stop_does_not_wait_for_ever():
    gate = threading.Event()
    recorder = Recorder(infer=gate)
    recorder.offer("stuck")
    wait_until(lambda: recorder.jobs["infer"])
    assert not recorder.pipeline.stop(timeout=0.1)
    gate.set()
