"""One finding of the doctor: ok, note (good to know) or fix (what to do)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """level: ok, note (good to know) or fix (`advice` says what to do).

    essential: without it nothing runs; the doctor's exit status is then 1.
    """

    level: Literal["ok", "note", "fix"]
    text: str
    advice: str = ""
    essential: bool = False

    def __str__(self) -> str:
        return f"{self.text}: {self.advice}" if self.advice else self.text


def ok(text: str) -> Finding:
    """All is well."""
    return Finding("ok", text)


def note(text: str) -> Finding:
    """Worth knowing, nothing to do."""
    return Finding("note", text)


def fix(text: str, advice: str, essential: bool = False) -> Finding:
    """Something is wrong; `advice` begins with what to do."""
    return Finding("fix", text, advice, essential)
