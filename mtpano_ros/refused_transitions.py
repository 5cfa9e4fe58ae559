"""Answer a transition that is not allowed now: before Kilted rclpy raises, and the client waits."""

from __future__ import annotations

from typing import Any

from rclpy.lifecycle import LifecycleNodeMixin

from mtpano_model.errors import one_line


def answer_refused_transitions(node: LifecycleNodeMixin, logger: Any) -> None:
    """Let the node's change_state service answer `success: false` where it would raise."""
    service = node._service_change_state
    change = service.callback

    def change_state(request: Any, response: Any) -> Any:
        try:
            return change(request, response)
        except Exception as error:  # RCLError, which is no public class
            logger.error(f"transition refused: {one_line(error)}")
            response.success = False
            return response

    service.callback = change_state
