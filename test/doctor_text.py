"""What the doctor's findings say."""

from __future__ import annotations

from mtpano_model.doctor.finding import Finding


def text(findings: list[Finding], level: str) -> str:
    return "\n".join(str(finding) for finding in findings if finding.level == level)
