"""rclpy.init as every executable here does it: transport made ready, refusals in one line."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import stat
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import rclpy
from rclpy.signals import SignalHandlerOptions

from mtpano_model.errors import MtpanoError, one_line
from mtpano_ros.doctor.transport import check_domain
from mtpano_ros.process.transport import prepare_transport

# Exit status of what a restart cannot mend: wrong arguments, a parameter file that cannot be read.
# pano.launch.py does not start such a process again.
CANNOT_START = os.EX_CONFIG
# Of rcl's messages: where they were raised, and the words of its parser.
_NOISE = re.compile(
    r"[\s,]*at \S+\.\w+:\d+|\. Error: (Expected lexeme type[^\n]*?|error not set)(?=$|, at )"
)
_NAMES: list[bytes] = []
N = TypeVar("N")
# rcl lets some pass as arguments, and refuses them when the node is made.
INVALID_NAME = "invalid node name"
# What rcl's refusals have in common, and what to do about each.
_REMEDIES = {
    "Error opening": "expected the path of a readable file; a shell expands ~, rcl does not",
    "remap rule": "expected FROM:=TO, with names of letters, digits, _ and /",
    "aliasing": "rcl knows no anchors of YAML: write the values out",
    "parsing a event": "it is no YAML in UTF-8, or is indented with tabs",
    "params file": "expected a YAML file with NODE_NAME: {ros__parameters: {NAME: VALUE}}",
    "log level": "expected debug, info, warn, error or fatal",
    "resolve peer": "mend ROS_STATIC_PEERS",
    INVALID_NAME: "expected such as /robot1, with names of letters, digits and _",
    "parameter override": "expected -p NAME:=VALUE",
}


def initialise(name: str, ros_args: Sequence[str]) -> list[str]:
    """Initialise rclpy for the process `name`, without its signal handlers.

    ros_args: from `--ros-args` on. Returns what to warn of once there is a logger; MtpanoError if
    rclpy refuses.
    """
    given, notices = list(ros_args), prepare_transport()
    _refuse_what_is_no_file(given)
    if trouble := _log_folder_trouble():
        given += ["--ros-args", "--disable-external-lib-logs"]
        notices.append(trouble)
    for finding in check_domain(os.environ):
        if finding.level == "fix":
            raise MtpanoError(str(finding))
    _name_log_file(name)
    try:
        rclpy.init(args=given, signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # RCLError is no public class, and no common one either
        raise MtpanoError(_refusal(error)) from None
    return notices


def made(make_node: Callable[[], N]) -> N:
    """The node that `make_node` makes; MtpanoError in one line where ROS 2 refuses to make it."""
    try:
        return make_node()
    except RuntimeError as error:  # RCLError is one
        raise MtpanoError(_refusal(error)) from error


def split_ros_args(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """(own arguments, ROS arguments) of a command line without its program name.

    ROS arguments stand between `--ros-args` and a `--` or the end.
    """
    own: list[str] = []
    ros: list[str] = []
    inside = False
    for argument in argv:
        if argument == "--ros-args":
            inside = True
        (ros if inside else own).append(argument)
        if argument == "--" and inside:
            inside = False
    return own, ros


def _refuse_what_is_no_file(arguments: Sequence[str]) -> None:
    """rcl would read a pipe or a device for ever, and call a folder bad YAML.

    The pipes of bash's <(...) are below /dev.
    """
    for flag, path in pairwise(arguments):
        if flag not in ("--params-file", "--log-config-file"):
            continue
        try:
            mode = os.stat(path).st_mode
        except (OSError, ValueError):  # rcl's to refuse
            continue
        pipe = stat.S_ISFIFO(mode) and not path.startswith(("/dev/", "/proc/"))
        device = stat.S_ISCHR(mode) and not os.path.samefile(path, os.devnull)
        if pipe or device or stat.S_ISBLK(mode) or stat.S_ISDIR(mode):
            kind = "folder" if stat.S_ISDIR(mode) else "pipe or a device"
            raise MtpanoError(f"{flag} {path} is a {kind}: expected a regular file")


def _log_folder_trouble() -> str:
    """Why rcl could not write its log file, which it takes for a reason to die; empty if it can."""
    folder = os.environ.get("ROS_LOG_DIR") or os.environ.get("ROS_HOME", "")
    if not os.environ.get("ROS_LOG_DIR"):
        folder = f"{folder or '~/.ros'}/log"
    path = Path(folder)
    if folder.startswith("~"):
        home = os.environ.get("HOME")
        if not home:
            return "HOME is not set, so no log file is written: name a folder for it in ROS_LOG_DIR"
        path = Path(home + folder[1:])
    why = "it may not be written to"
    try:
        path.mkdir(parents=True, exist_ok=True)
        if os.access(path, os.W_OK | os.X_OK):
            return ""
    except OSError as error:
        why = error.strerror or one_line(error)
    return (
        f"no log file is written, since '{path}' cannot be used ({why}): name another folder in "
        "ROS_LOG_DIR"
    )


def _name_log_file(name: str) -> None:
    """Let rcl name its log file after the executable, where it would take `python3`."""
    with contextlib.suppress(ValueError):  # a C library without this variable
        variable = ctypes.c_char_p.in_dll(ctypes.CDLL(None), "program_invocation_name")
        _NAMES.append(name.encode())  # glibc keeps the address: the text must stay
        variable.value = _NAMES[-1]


def _refusal(error: Exception) -> str:
    """rcl's words in one line, without its source files, and with what to do."""
    if isinstance(error, UnicodeEncodeError):  # of a file name that the shell completed
        return f"argument {error.object!r} is not UTF-8: rename what it names"
    text = " ".join(_NOISE.sub("", str(error)).split()).removesuffix(".")
    text = text.removeprefix("failed to initialize rcl: ").removeprefix("error creating node: ")
    if type(error).__name__ == "UnknownROSArgsError":
        return f"ROS arguments {text} are not known"
    if text == "error not set":  # such as a keystore that is not there
        return "ROS 2 cannot be started and does not say why: check the variables ROS_SECURITY_*"
    if not isinstance(error, RuntimeError) or not text:
        return f"ROS 2 cannot be started ({one_line(error)})"
    remedy = next((words for what, words in _REMEDIES.items() if what in text), "")
    return f"{text}; {remedy}" if remedy else text
