"""Plans of a job, its arguments, and SLURM."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import label_jobs
import pytest
from label_jobs import contents, panoramas

from mtpano_model.commands import main
from mtpano_model.data.store import StoreNames
from mtpano_model.errors import MtpanoError
from mtpano_model.labels.job.plan import Plan, joined, task_of, usual_tasks
from mtpano_model.labels.job.report import job_state
from mtpano_model.whole_files import write_json

alone = label_jobs.alone
SBATCH = """#!/bin/bash
# Stands in for SLURM: runs the array's elements at once, in the background.
script="${@: -1}"
last=$(sed -n 's/#SBATCH --array=0-//p' "$script")
for id in $(seq 0 $last); do
  SLURM_ARRAY_TASK_ID=$id SLURM_ARRAY_TASK_COUNT=$((last + 1)) setsid bash "$script" \
    > "$script.$id.log" 2>&1 &
done
echo 4242
"""


def test_slurm_runs_an_array_whose_elements_take_each_others_tasks(tmp_path, monkeypatch, capsys):
    root = panoramas(tmp_path / "panos", 6)
    store, bin_folder = tmp_path / "store", tmp_path / "bin"
    bin_folder.mkdir()
    (bin_folder / "sbatch").write_text(SBATCH)
    (bin_folder / "squeue").write_text("#!/bin/bash\necho '4242 R'\n")
    for name in ("sbatch", "squeue"):
        (bin_folder / name).chmod(0o755)
    from fake_model import write_fake_model

    model = write_fake_model(tmp_path / "model.onnx", size=(32, 64))
    arguments = ["label", "--input", str(root), "--teacher", f"pd-bridgenet:{model}", "--out",
                 str(store), "--height", "32", "--on", "slurm:2"]  # fmt: skip
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert main(arguments) == 1
    assert "'--on slurm' needs the command 'sbatch'" in capsys.readouterr().err
    monkeypatch.setenv("PATH", f"{bin_folder}:/usr/bin:/bin")
    assert main(arguments) == 0
    assert "SLURM job 4242" in capsys.readouterr().out
    deadline = time.monotonic() + 90
    while len(job_state(store).done) < 6:
        logs = "".join(log.read_text() for log in (store / "tasks").glob("*.log"))
        assert time.monotonic() < deadline, logs
        time.sleep(0.2)
    assert len(contents(store)) == 6
    script = (store / "tasks" / "slurm.sh").read_text()
    assert "#SBATCH --requeue" in script
    assert "--gres" not in script
    assert main(arguments) == 1
    assert "SLURM job 4242 labels this store already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("sbatch", "answer"),
    [
        ("echo 'Welcome!'; echo '4242;main'", "SLURM job 4242 with"),
        ("echo 'Welcome!'", "printed no job number ('Welcome!'): check `squeue --me`"),
        (r"printf '\xff'", "printed no job number"),
        ("echo 'Invalid account' >&2; exit 1", "sbatch refused"),
        ("kill -9 $$", "(exit status -9)"),
        (None, "'sbatch' cannot be run (No such file or directory)"),
    ],
)
def test_whatever_sbatch_answers_is_told_in_a_sentence(
    tmp_path, monkeypatch, capsys, sbatch, answer
):
    head = "#!/bin/bash\n" if sbatch else "#!/no/such/interpreter\n"
    (tmp_path / "sbatch").write_text(f"{head}{sbatch}\n")
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    folder = panoramas(tmp_path / "panos", 1)
    status = main(["label", "--input", str(folder), "--teacher", "oracle", "--out",
                   str(tmp_path / "store"), "--on", "slurm"])  # fmt: skip
    said = capsys.readouterr()
    assert answer in said.out + said.err
    assert status == (0 if "4242" in answer else 1)
    assert (tmp_path / "store" / "tasks" / "slurm.id").exists() == (status == 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--on", "kubernetes"], "unknown engine 'kubernetes': expected local:N, slurm:N or ray"),
        (["--on", "local:0"], "expected a number of workers from 1 to 100000, such as local:4"),
        (["--on", "local:²"], "expected a number of workers"),
        (["--on", "ray:"], "expected a number of workers"),
        (["--on", "local:2", "--worker", "0/2"], "give one"),
        (["--tasks", "5"], "--tasks is for --on and --worker"),
        (["--on", "local:2", "--tasks", "0"], "--tasks 0: expected 1 to 100000"),
        (["--on", "local:1", "--teacher", "nobody"], "unknown teacher 'nobody'"),
        (["--on", "local:1", "--device", "cuda:77"], "device 'cuda:77' is not here"),
        (["--status"], "is no label store"),
    ],
)
def test_wrong_arguments_are_one_sentence(tmp_path, capsys, arguments, message):
    folder = panoramas(tmp_path / "panos", 1)
    given = ["label", "--input", str(folder), "--out", str(tmp_path / "store"), *arguments]
    assert main(given if "--teacher" in arguments else [*given, "--teacher", "oracle"]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert len([line for line in error.splitlines() if line.startswith("mtpano label")]) == 1


def test_a_store_of_one_process_has_no_status(alone, capsys):
    store = alone[0].parent / "store"
    assert main(["label", "--status", "--out", str(store)]) == 1
    assert "was not labelled in tasks" in capsys.readouterr().err


@pytest.fixture
def done(alone, tmp_path) -> Path:
    """A store that was labelled in two tasks."""
    shutil.copytree(alone[0].parent / "store", tmp_path / "store")
    (tmp_path / "store" / "tasks").mkdir()
    write_json(tmp_path / "store" / "tasks" / "plan.json", {"tasks": 2, "digest": "a"})
    for task in range(2):
        Plan(tmp_path / "store", 2).write(task, "done", {"held": 12 * (task == 0), "skipped": {}})
    return tmp_path / "store"


@pytest.mark.parametrize("text", ["", "\xff", "[" * 100_000, '{"skipped": [1]}', "fifo", "folder"])
def test_notes_of_any_kind_never_stop_the_status(done, capsys, text):
    for state in ("done", "running", "failed"):
        path = Plan(done, 2).file(1, state)
        path.unlink(missing_ok=True)
        if text == "fifo":
            os.mkfifo(path)
        elif text == "folder":
            path.mkdir()
        else:
            path.write_text(text, encoding="latin-1")
    assert main(["label", "--status", "--failed", "--out", str(done)]) == 0
    assert "12 panoramas in the store, 0 skipped" in capsys.readouterr().out


def test_the_status_of_a_store_that_cannot_be_read_is_one_sentence(done, capsys):
    (done / "store.json").write_text("{")
    assert main(["label", "--status", "--out", str(done)]) == 1
    assert "store.json is damaged" in capsys.readouterr().err
    (done / "store.json").unlink()
    assert main(["label", "--status", "--out", str(done)]) == 1
    assert "is no label store" in capsys.readouterr().err
    for index in done.glob("shard-*"):
        index.unlink()
    assert main(["label", "--status", "--out", str(done)]) == 0, "a job that only begins"


def test_a_task_whose_shards_are_gone_is_taken_again(done, caplog):
    plan, names = Plan(done, 2), StoreNames(done)
    names.refresh()
    plan.retry_unfinished(names)
    assert plan.undone() == []
    index = next(done.glob("shard-0-*.jsonl"))
    index.write_bytes(b"".join(index.read_bytes().splitlines(keepends=True)[:7]))
    names.refresh()
    plan.retry_unfinished(names)
    assert plan.undone() == [0]
    assert "task 0 starts again: of its 12 panoramas 7 are left" in caplog.text


def test_a_plan_that_is_damaged_is_one_sentence(tmp_path):
    (tmp_path / "tasks").mkdir()
    for text in ("", "[]", '{"tasks": "many"}', '{"tasks": 1e9}'):
        (tmp_path / "tasks" / "plan.json").write_text(text)
        with pytest.raises(MtpanoError, match="delete the folder 'tasks'"):
            job_state(tmp_path)


def test_the_work_is_cut_into_many_tasks_that_are_not_tiny():
    assert [usual_tasks(n) for n in (1, 12, 300, 1000, 408_000)] == [1, 12, 19, 63, 1024]
    assert [usual_tasks(n, whole_reading=True) for n in (3, 408_000)] == [3, 16]
    shares = [task_of(f"room/{n}.jpg", 63) for n in range(1000)]
    assert min(map(shares.count, range(63))) >= 5
    assert max(map(shares.count, range(63))) <= 35


def test_a_plan_is_renewed_only_while_nobody_works_on_it(tmp_path):
    with joined(tmp_path, 4, None, "a") as plan:
        assert plan.tasks == 4
        plan.write(2, "done", {})
        with joined(tmp_path, 9, None, "a") as same:
            assert same == plan
        with pytest.raises(MtpanoError, match="with other settings"), joined(tmp_path, 4, 5, "a"):
            pass
    with joined(tmp_path, 9, None, "b") as renewed:
        assert renewed.tasks == 4
        assert renewed.undone() == [0, 1, 2, 3]


def test_what_is_left_of_a_note_never_stops_a_task(tmp_path):
    plan = Plan(tmp_path, 1)
    plan.folder.mkdir()
    for text in ("", "[]", '{"deaths": [1], "at": 4}', '{"deaths": {"x": "y"}}'):
        plan.file(0, "running").write_text(text)
        from mtpano_model.labels.job.worker import RunningNote

        note = RunningNote(plan, 0)
        note.at("x")
        assert json.loads(plan.file(0, "running").read_text())["at"] == "x"
        note.close()
        assert not plan.file(0, "running").exists()
