"""ROS times and seconds."""

from __future__ import annotations

from builtin_interfaces.msg import Time


def seconds_of(stamp: Time) -> float:
    """A ROS time in seconds."""
    return float(stamp.sec + stamp.nanosec * 1e-9)


def time_of(seconds: float) -> Time:
    """Seconds as a ROS time."""
    sec, nanosec = divmod(round(seconds * 1e9), 10**9)
    return Time(sec=sec, nanosec=nanosec)
