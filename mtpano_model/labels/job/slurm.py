"""Tasks on SLURM: one job array, each element of which takes tasks until none is left."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from mtpano_model.errors import MtpanoError, on_one_line, writing
from mtpano_model.labels.job.job import Job, TaskEnd


class SlurmEngine:
    """Submits `count` array elements. command: what each runs, without its share `--worker K/N`.

    Partition, account and time limit come from the environment, as sbatch reads it
    (SBATCH_PARTITION, SBATCH_ACCOUNT, SBATCH_TIMELIMIT and so on).
    """

    waits = False

    def __init__(self, count: int, command: Sequence[str]):
        self._count, self._command = count, command

    def run(self, job: Job, tasks: Sequence[int]) -> Iterator[TaskEnd]:
        """As `Engine.run`; MtpanoError without SLURM, or while an earlier array still labels."""
        if shutil.which("sbatch") is None:
            raise MtpanoError(
                "'--on slurm' needs the command 'sbatch', which is missing: run it on a machine "
                "that submits to SLURM, or use --on local:N"
            )
        note = job.plan.folder / "slurm.id"
        _refuse_a_second(note)
        script = job.plan.folder / "slurm.sh"
        with writing(script):
            script.write_text(self._script(job, min(self._count, len(tasks))), encoding="utf-8")
        done = _run("sbatch", "--parsable", str(script))
        if done.returncode:
            why = on_one_line(done.stderr) or f"exit status {done.returncode}"
            raise MtpanoError(
                f"sbatch refused {script} ({why}): set what it asks for in the environment, such "
                "as SBATCH_PARTITION"
            )
        # JOB or JOB;CLUSTER, behind whatever the site's own sbatch has to say.
        numbers = re.findall("^([0-9]+)(?:;.*)?$", done.stdout, re.MULTILINE)
        if not numbers:
            raise MtpanoError(
                f"sbatch accepted {script} but printed no job number "
                f"('{on_one_line(done.stdout)}'): check `squeue --me` for the job, and that sbatch "
                "supports --parsable"
            )
        with writing(note):
            note.write_text(numbers[-1], encoding="utf-8")
        print(f"SLURM job {numbers[-1]} with {script}: `mtpano label --status` shows its progress")
        return iter(())

    def _script(self, job: Job, count: int) -> str:
        gpu = ["#SBATCH --gres=gpu:1"] if job.gpu else []
        share = '"$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"'
        return "\n".join(
            [
                "#!/bin/bash",
                "#SBATCH --job-name=mtpano-label",
                f"#SBATCH --array=0-{count - 1}",
                f"#SBATCH --cpus-per-task={job.threads}",
                "#SBATCH --requeue",
                f"#SBATCH --output={job.plan.folder.resolve()}/slurm-%A_%a.log",
                *gpu,
                f"exec {shlex.join(self._command)} --worker {share}",
                "",
            ]
        )


def _refuse_a_second(note: Path) -> None:
    if not note.exists() or shutil.which("squeue") is None:
        return
    number = note.read_text(encoding="utf-8", errors="replace").strip()
    if not (number.isascii() and number.isdecimal()):
        return
    queued = _run("squeue", "--noheader", "--jobs", number)  # fails for one that is long over
    if queued.returncode == 0 and queued.stdout.strip():
        raise MtpanoError(
            f"SLURM job {number} labels this store already: wait for it, or `scancel {number}` "
            "first"
        )


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of SLURM; undecodable bytes of its output are replaced."""
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False
        )
    except OSError as error:
        raise MtpanoError(
            f"'{command[0]}' cannot be run ({error.strerror}): repair SLURM's installation here, "
            "or use --on local:N"
        ) from error
