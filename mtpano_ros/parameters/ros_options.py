"""The parameters that rclpy declares for itself, as options, to be checked like our own.

`use_sim_time` and its like come in Node's constructor, where a wrong type would end the process;
`qos_overrides.TOPIC.ROLE.POLICY` come where a topic is made, and rclpy would name neither.
"""

from __future__ import annotations

from typing import Any

from rclpy.qos import HistoryPolicy, ReliabilityPolicy

from mtpano_ros.parameters.options import Option

SIM_TIME = "use_sim_time"
QOS = "qos_overrides."
_CHOICES = {"history": HistoryPolicy.short_keys(), "reliability": ReliabilityPolicy.short_keys()}
_MOST_MESSAGES = 1_000_000.0


def ros_option(name: str, default: Any) -> Option:
    """What may stand in a parameter that is not in our table."""
    policy = name.rpartition(".")[2] if name.startswith(QOS) else ""
    return Option(
        name=name,
        default=default,
        description="",
        choices=tuple(key for key in _CHOICES.get(policy, ()) if key != "unknown"),
        between=(0.0, _MOST_MESSAGES) if policy == "depth" else None,
        read_only=name != SIM_TIME,
        old="",
        numbers=False,
    )
