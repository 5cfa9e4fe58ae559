"""The process that `build_process` starts: reads one order, builds, answers, ends."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import threading
from pathlib import Path
from typing import IO, Any

from mtpano_model.errors import MtpanoError, one_line
from mtpano_model.inference.engines.progress import BuildMonitor
from mtpano_model.inference.engines.tensorrt.builder import BuildOrder, BuildRefused, build_plan
from mtpano_model.inference.engines.tensorrt.library import load_tensorrt

log = logging.getLogger(__name__)

# Where memory runs out the system is to end this process before the robot's others.
_FIRST_TO_GO = "800"


class _Answers(logging.Handler):
    """Writes messages, and what is logged, as lines of JSON."""

    def __init__(self, pipe: IO[str]) -> None:
        super().__init__()
        self._pipe = pipe

    def send(self, **message: Any) -> None:
        with self.lock:  # type: ignore[union-attr]
            self._pipe.write(json.dumps(message) + "\n")
            self._pipe.flush()

    def emit(self, record: logging.LogRecord) -> None:
        self.send(log=[record.name, record.levelno, record.getMessage()])


def main() -> int:
    """Build what standard input orders; 0 once the answer is written."""
    # Libraries print to standard output; the answers keep it to themselves.
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    answers = _Answers(pipe)
    logging.basicConfig(level=logging.DEBUG, handlers=[answers])
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    monitor = BuildMonitor(
        lambda now: answers.send(progress=[now.phase, now.fraction]), log_progress=False
    )
    try:
        plan = build_plan(load_tensorrt(), BuildOrder(**request["order"]), monitor)
        Path(request["plan"]).write_bytes(plan)
    except BuildRefused as error:
        answers.send(refused=str(error))
    except MtpanoError as error:
        answers.send(error=str(error))
    except OSError as error:
        answers.send(
            error=f"the engine cannot be written to {request['plan']} ({error.strerror}): free "
            "some space there"
        )
    except Exception as error:  # a library may raise anything
        log.debug("the build failed", exc_info=True)
        answers.send(
            error=f"TensorRT fails to build the engine ({one_line(error)}): update TensorRT, or "
            "use backend onnxruntime"
        )
    else:
        answers.send(done=True)
    return 0


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
