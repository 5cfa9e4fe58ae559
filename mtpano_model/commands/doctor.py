"""`mtpano doctor`: print what is installed, what is missing and how to fix it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from mtpano_model.doctor.finding import Finding, fix
from mtpano_model.errors import one_line

# title, module, function. Imported one by one as they are called: a library
# that is missing then spoils one group and not the command.
_GROUPS = (
    ("Python", "mtpano_model.doctor.python_side", "check"),
    ("Engines", "mtpano_model.doctor.engines", "check_processor_engines"),
    ("NVIDIA GPU", "mtpano_model.doctor.engines", "check_gpu"),
    ("Model", "mtpano_model.doctor.model", "check"),
    ("ROS 2", "mtpano_ros.doctor.ros", "check"),
    ("Transport", "mtpano_ros.doctor.transport", "check"),
    ("Engine cache", "mtpano_model.doctor.storage", "check"),
)


@dataclass
class Args:
    """Check everything that a panorama passes on its way, and say how to fix what is wrong.

    Each line begins with ok, note (good to know) or fix (and what to do). The exit status is 1 if
    something is broken without which no picture can be processed.
    """

    model: str = "default"
    """The model to look at and to try: an ONNX file or the name of a bundled model."""


def run(args: Args) -> int:
    """Print every finding; 1 if something essential is broken."""
    findings: list[Finding] = []
    for title, module, function in _GROUPS:
        print(title)
        arguments = (args.model,) if title == "Model" else ()
        for finding in _examine(title, module, function, *arguments):
            print(f"  {finding.level:<4}  {finding}")
            findings.append(finding)
    to_fix = [finding for finding in findings if finding.level == "fix"]
    broken = [finding for finding in to_fix if finding.essential]
    if broken:
        print(f"{len(to_fix)} to fix, {len(broken)} without which nothing runs")
        return 1
    print(f"{len(to_fix)} to fix, nothing essential" if to_fix else "all is well")
    return 0


def _examine(title: str, module: str, function: str, *arguments: str) -> list[Finding]:
    try:
        check = getattr(import_module(module), function)
        return check(*arguments)
    except Exception as error:  # any: a doctor that falls ill himself must still say the rest
        return [fix(f"{title}: {one_line(error)}", "report it with this text", essential=True)]
