"""What a run reads back may be damaged, foreign or hostile: each is one sentence, nothing runs."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from box_rooms import box_data, quick_config

from mtpano_model.commands import main
from mtpano_model.errors import MtpanoError
from mtpano_model.network.pretrained import from_pretrained
from mtpano_model.training import checkpoint as checkpoints
from mtpano_model.training.checkpoint import best_weights, lasting_folder, latest_checkpoint
from mtpano_model.training.loop import train


class Evil:
    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        return os.mkdir, ("unpickled",)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run that has ended."""
    run = tmp_path_factory.mktemp("run")
    train(quick_config(), box_data(), run)
    return run


@pytest.fixture
def run(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, and an empty working directory for whatever would run."""
    shutil.copytree(finished, tmp_path / "run")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "run"


def resume_fails_with(run: Path, words: str) -> None:
    config = quick_config()
    longer = replace(config, workers=config.workers)
    with pytest.raises(MtpanoError, match=words) as error:
        train(longer, box_data(), run, resume=True)
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 1000
    assert not list(Path.cwd().iterdir())


def _absent(path: Path) -> None:
    path.unlink()


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _binary(path: Path) -> None:
    path.write_bytes(b"\x80\x02\xff\x00" * 100)


@pytest.mark.parametrize("damage", [_absent, _folder, _pipe, _loop, _cut, _empty, _binary])
@pytest.mark.parametrize(
    "name",
    ["progress.json", "optimizer.pt", "net.safetensors", "net.json", "average.safetensors"],
)
def test_a_damaged_checkpoint_is_one_sentence(
    run: Path, name: str, damage: Callable[[Path], None]
) -> None:
    damage(latest_checkpoint(run) / name)
    resume_fails_with(run, name.replace(".", r"\."))


@pytest.mark.parametrize(
    "text",
    [
        "{", "{}", "[]", "null", "[" * 100_000, "9" * 5000, '{"format": 1}',
        '{"format": 1, "config": []}', '{"format": "1", "config": {}}',
        '{"format": true, "config": {}}', '{"format": 1e999, "config": {}}',
        '{"format": 1, "config": {"seed": "x"}}', '{"format": 1, "config": {"stages": 3}}',
        '{"format": 1, "config": {"what": 3}}', '{"format": 1, "config": {}, "origin": 3}',
        '{"format": 1, "config": {}, "step": "4"}', '{"format": 1, "config": {}, "what": 4}',
    ],
)  # fmt: skip
def test_a_progress_that_says_nonsense_is_one_sentence(run: Path, text: str) -> None:
    (latest_checkpoint(run) / "progress.json").write_text(text)
    resume_fails_with(run, r"progress\.json")


def _foreign(run: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    file = latest_checkpoint(run) / "optimizer.pt"
    torch.save(change(torch.load(file, weights_only=True)), file)


def _without(key: str) -> Callable[[dict[str, Any]], Any]:
    return lambda state: {k: v for k, v in state.items() if k != key}


def _other_shapes(state: dict[str, Any]) -> dict[str, Any]:
    for memory in state["state"].values():
        memory["exp_avg"] = torch.zeros(3)
    return state


def _without_betas(state: dict[str, Any]) -> dict[str, Any]:
    for group in state["param_groups"]:
        del group["betas"]
    return state


@pytest.mark.parametrize(
    "change",
    [
        _without("state"),
        _without("param_groups"),
        _other_shapes,
        _without_betas,
        lambda state: {**state, "param_groups": []},
        lambda state: {**state, "state": 3},
        lambda state: [],
        lambda state: torch.zeros(3),
    ],
)
def test_a_foreign_optimizer_is_one_sentence(
    run: Path, change: Callable[[dict[str, Any]], Any]
) -> None:
    _foreign(run, change)
    resume_fails_with(run, r"optimizer\.pt belongs to another network or optimizer")


def test_nothing_in_an_optimizer_is_run(run: Path) -> None:
    file = latest_checkpoint(run) / "optimizer.pt"
    torch.save({"state": Evil()}, file)
    resume_fails_with(run, r"optimizer\.pt cannot be read")
    file.write_bytes(pickle.dumps(Evil()))
    resume_fails_with(run, r"optimizer\.pt cannot be read")


@pytest.mark.parametrize(
    "facts",
    [
        '{"format": 1}', "[]", '{"name": 1}', "{", "[" * 100_000, '{"format": Infinity}',
        '{"format": 1, "config": [], "extra": {}}', '{"format": 1, "config": {}, "extra": {}}',
        '{"format": 1, "config": {"backbone": 3}, "extra": {}}',
        '{"format": 1, "config": {"image_size": ["a", 1]}, "extra": {}}',
        '{"format": 1, "config": {}}', '{"format": 2, "config": {}, "extra": {}}',
    ],
)  # fmt: skip
def test_the_facts_beside_weights_may_say_nonsense(
    run: Path, facts: str, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = best_weights(run)
    weights.with_suffix(".json").write_text(facts)
    assert main(["export", str(weights), "--out", "out.onnx"]) == 1
    said = capsys.readouterr().err.strip()
    assert len(said.splitlines()) == 1
    assert "Error" not in said  # a sentence, not Python's name for it


@pytest.mark.parametrize("change", [{"token_stride": 0}, {"num_classes": -1}, {"image_size": [0]}])
def test_numbers_that_make_no_network_are_one_sentence(run: Path, change: dict[str, Any]) -> None:
    weights = best_weights(run)
    facts = json.loads(weights.with_suffix(".json").read_text())
    facts["config"].update(change)
    weights.with_suffix(".json").write_text(json.dumps(facts))
    with pytest.raises(MtpanoError, match=r"network\.[a-z_]+ is "):
        from_pretrained(weights)


def test_a_kill_while_the_best_is_replaced_leaves_a_best(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def contents() -> bytes:
        return best_weights(run).read_bytes()

    def replace_best(new: bytes) -> None:
        with checkpoints._complete_or_not_at_all(run / "best") as partial:
            (partial / "net.safetensors").write_bytes(new)

    for number, (owner, name) in enumerate(
        [(Path, "rename"), (Path, "rename"), (shutil, "rmtree"), (shutil, "rmtree")]
    ):
        replace_best(b"old")
        calls = 0
        done = getattr(owner, name)

        def dying(*args: Any, at: int = number % 2, done: Any = done, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > at + 1:
                raise Killed
            result = done(*args, **kwargs)
            if calls == at + 1:
                raise Killed
            return result

        with monkeypatch.context() as context:
            context.setattr(owner, name, dying)
            with pytest.raises(Killed):
                replace_best(b"new")
        assert contents() in (b"old", b"new")
        assert lasting_folder(best_weights(run)) == run
    replace_best(b"last")
    assert contents() == b"last"
    assert not list(run.glob("best.*"))


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\x00", b"1: 2", b"seed: 2020-99-99", b"9" * 5000, b"seed: " + b"9" * 5000,
        b"optimizer: {lr: " + b"9" * 400 + b"}", b"[" * 5000, b"- 1", b"seed: 0x" + b"f" * 5000,
        b"a: &a [*a]", b"stages: &a [*a]", b"losses: &a {losses: *a}", b"!!python/object:os.x {}",
        b"seed: !!int ''", b"seed: !!float ''", b"seed: !!bool x", b"seed: !!timestamp x",
        b"seed: 18446744073709551616", b"seed: 4294967296", b"losses: {initial_stride: 0}",
        b"? [1, 2]\n: 3", b"? {a: b}\n: 3", b"seed: null", b"optimizer: null", b"stages: null",
        b"stages: [null]", b"stages: [{height: 1}]", b"optimizer: {lr: .nan}",
    ],
)  # fmt: skip
def test_a_hostile_configuration_is_one_sentence(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.yaml").write_bytes(content)
    arguments = ["train", "--data-root", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--config", str(tmp_path / "mine.yaml")]) == 1
    said = capsys.readouterr().err.strip()
    assert len(said) < 1200
    assert "Error" not in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "assignment",
    [
        "seed=2020-99-99", "seed=" + "9" * 5000, "seed=0x" + "f" * 5000, "seed=[" + "[" * 5000,
        "optimizer.lr=" + "9" * 400, "optimizer.lr=true", "seed=1.5", "=3", ".=3", "a..b=1",
        "stages=[]", "stages.0=3", "losses=3", "seed=!!int ''", "seed=!!python/name:os.system ''",
        "losses.initial_stride=0", "seed=-1",
    ],
)  # fmt: skip
def test_a_hostile_assignment_is_one_sentence(
    tmp_path: Path, assignment: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", "--data-root", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--set", assignment]) == 1
    said = capsys.readouterr().err.strip()
    assert len(said) < 1200
    assert "Error" not in said
