"""Pictures of several lenses put together by stamp, on a clock that the test turns."""

from __future__ import annotations

import pytest

from mtpano_model.rig.moments import Moments


class Bench:
    """Moments with a clock and its sentences."""

    def __init__(self, *topics: str) -> None:
        self.now = 100.0
        self.told: list[str] = []
        self.moments = Moments(topics, 0.02, 0.1, lambda: self.now, self.told.append)

    def offer(self, topic: str, stamp: float, after: float = 0.0):
        self.now += after
        return self.moments.offer(topic, stamp, f"{topic}{stamp}")

    def poll(self, after: float):
        self.now += after
        return self.moments.poll()


def test_pictures_of_one_moment_go_out_together_at_once() -> None:
    bench = Bench("a", "b")
    assert bench.offer("a", 1.0) is None
    moment = bench.offer("b", 1.01)
    assert moment.pictures == {"a": "a1.0", "b": "b1.01"}
    assert (moment.stamp, moment.missing) == (1.01, ())


def test_the_wait_is_bounded() -> None:
    bench = Bench("a", "b")
    bench.offer("a", 1.0)
    assert bench.poll(0.05) is None
    moment = bench.poll(0.06)
    assert (moment.pictures, moment.missing) == ({"a": "a1.0"}, ("b",))
    # What comes after that is too late for its moment.
    assert bench.offer("b", 1.0) is None
    assert bench.moments.counts["late"] == 1


def test_a_slower_lens_pairs_with_the_picture_of_its_own_moment() -> None:
    bench = Bench("a", "b")
    bench.offer("a", 1.0)
    bench.offer("a", 1.033, 0.033)
    moment = bench.offer("b", 1.0, 0.02)
    assert moment.pictures == {"a": "a1.0", "b": "b1.0"}
    assert bench.offer("b", 1.033, 0.03).pictures == {"a": "a1.033", "b": "b1.033"}


def test_a_dead_lens_is_told_once_and_waited_for_no_longer() -> None:
    bench = Bench("a", "b", "c")
    times = []
    for number in range(60):
        bench.now += 0.033
        stamp = number * 0.033
        bench.offer("a", stamp)
        moment = bench.offer("b", stamp) or bench.moments.poll()
        times.append(moment is not None and moment.missing == ("c",) and moment.stamp == stamp)
    assert len(bench.told) == 1
    assert "lens topic c has delivered no picture for 1.0 s" in bench.told[0]
    assert bench.moments.dead == ("c",)
    assert all(times[-20:])
    bench.offer("c", 5.0)
    assert bench.told[1] == "lens topic c delivers again"
    assert bench.moments.dead == ()


@pytest.mark.parametrize("offset", [1.0, -1.0, 3600.0])
def test_clocks_that_differ_are_told_and_the_stream_goes_on(offset: float) -> None:
    bench = Bench("a", "b")
    out = 0
    for number in range(60):
        bench.now += 0.033
        for topic, shift in (("a", 0.0), ("b", offset)):
            out += bench.offer(topic, 50 + number * 0.033 + shift) is not None
        out += bench.moments.poll() is not None
    assert out > 10
    (told,) = bench.told
    late, early = ("b", "a") if offset > 0 else ("a", "b")
    assert f"lens topic {early} is stamped -" in told
    assert "synchronise" in told
    assert late != early


def test_stamps_that_go_back_do_not_come_out_again() -> None:
    bench = Bench("a")
    assert bench.offer("a", 2.0) is not None
    assert bench.offer("a", 1.0) is None
    assert bench.offer("a", 2.0) is None
    assert bench.offer("a", 2.1) is not None


def test_a_bag_that_begins_again_is_taken_from_its_first_moment_on() -> None:
    bench = Bench("a", "b")
    for stamp in (100.0, 100.1, 10.0, 10.1):
        bench.offer("a", stamp)
        moment = bench.offer("b", stamp, 0.1)
        assert (moment.stamp, moment.missing) == (stamp, ())
    assert bench.told == []


def test_while_nobody_delivers_there_are_no_others_that_go_on() -> None:
    bench = Bench("a", "b")
    bench.poll(5.0)
    bench.offer("a", 1.0)
    bench.offer("b", 1.0)
    bench.poll(5.0)
    assert (bench.told, bench.moments.dead) == ([], ())
    bench.offer("a", 2.0)
    bench.poll(0.0)
    assert bench.moments.dead == ("b",)


def test_a_camera_of_a_picture_in_two_seconds_is_not_dead() -> None:
    bench = Bench("a", "b")
    for number in range(10):
        bench.offer("a", 2.0 * number)
        assert bench.offer("b", 2.0 * number).missing == ()
        for _ in range(20):
            bench.poll(0.1)
    assert bench.told == []
    bench.offer("a", 20.0)
    bench.poll(2.0)
    bench.offer("a", 22.0, 2.1)
    bench.poll(0.0)
    assert bench.moments.dead == ("b",)


def test_every_picture_is_counted() -> None:
    bench = Bench("a", "b")
    offered = used = 0
    for number in range(200):
        bench.now += 0.03
        for topic in ("a", "b"):
            if (number * 7 + (topic == "b")) % 5:
                offered += 1
                moment = bench.offer(topic, number * 0.03)
                used += len(moment.pictures) if moment else 0
        moment = bench.moments.poll()
        used += len(moment.pictures) if moment else 0
    counts = bench.moments.counts
    waiting = offered - used - counts["late"] - counts["superseded"]
    assert 0 <= waiting <= 8


@pytest.mark.parametrize("late", ["a", "b"])
def test_what_was_sent_before_stamps_began_again_and_comes_after_is_got_over(late: str) -> None:
    bench = Bench("a", "b")
    bench.offer("a", 1000.0)
    if late == "b":
        bench.offer("b", 1000.0)
        bench.offer("a", 10.0)
        bench.offer("b", 1000.03)
    for number in range(1, 20):
        for topic in ("a", "b"):
            bench.offer(topic, 10 + 0.03 * number, 0.015)
            bench.moments.poll()
    assert bench.moments.counts["together"] > 12
    assert bench.offer("a", 11.0, 0.03) is None
    assert bench.offer("b", 11.0).missing == ()
