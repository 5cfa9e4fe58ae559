"""The ablation: variants differ in what they claim, runs resume, verdicts follow the numbers."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from box_room import write_rooms

from mtpano_model.commands.ablation import Args, run
from mtpano_model.errors import MtpanoError
from mtpano_model.evaluation import ablation
from mtpano_model.evaluation.ablation import (
    FULL,
    HALF,
    PARTS,
    PLAIN,
    SINGLE,
    VARIANTS,
    ZERO_PADDING,
    AblationConfig,
    Result,
    run_ablation,
    variant_network,
)
from mtpano_model.evaluation.ablation_report import rows_of, verdict, write_ablation_report
from mtpano_model.evaluation.ablation_times import Times
from mtpano_model.network import PDBridgeNet, preset
from mtpano_model.training.stream import TrainingData


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> AblationConfig:
    root = write_rooms(tmp_path_factory.mktemp("rooms"), count=16, height=32)
    return AblationConfig(str(root), "nano", 32, 64, steps=2, batch=1, workers=0)


def test_each_variant_adds_one_part_and_the_last_is_the_preset(config: AblationConfig) -> None:
    steps = [variant_network(v, config) for v in PARTS if v not in (*SINGLE, ZERO_PADDING)]
    flags = ("modulation", "erp_mixer", "bridge", "truncate", "auxiliary")
    switched = [{flag for flag in flags if getattr(net, flag)} for net in steps]
    assert switched[0] == set()
    for before, after in pairwise(switched):
        assert len(after - before) == 1
        assert before < after
    full = variant_network(FULL, config)
    assert full == preset("nano", name="full", image_size=(32, 64))
    assert variant_network(ZERO_PADDING, config).padding.columns == "zeros"
    assert [variant_network(v, config).tasks for v in SINGLE] == [
        ("semseg",),
        ("depth",),
        ("normals",),
    ]


def test_parts_that_are_left_out_have_no_parameters(config: AblationConfig) -> None:
    sizes = {
        v.name: sum(p.numel() for p in PDBridgeNet(variant_network(v, config)).parameters())
        for v in VARIANTS
    }
    assert sizes["single_depth"] < sizes["multi_task"] < sizes["modulation"] < sizes["erp_mixer"]
    assert sizes["erp_mixer"] < sizes["bridge"] == sizes["truncation"] < sizes["full"]
    assert sizes["zero_padding"] == sizes["full"]


def test_finished_runs_are_kept_and_other_settings_refused(
    config: AblationConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = (SINGLE[1], FULL)
    first = run_ablation(config, tmp_path, seeds=(0,), variants=chosen)
    assert [r.variant for r in first] == ["single_depth", "full"]
    assert set(first[0].figures) == {"depth"}
    assert set(first[1].figures) == {"semseg", "depth", "normals"}
    assert all(0 < r.figures["depth"]["rmse"] < 100 for r in first)

    monkeypatch.setattr(ablation, "train", lambda *_, **__: pytest.fail("ran again"))
    assert run_ablation(config, tmp_path, seeds=(0,), variants=chosen) == first
    other = AblationConfig(config.root, "nano", 32, 64, steps=3, batch=1)
    with pytest.raises(MtpanoError, match=r"was run with steps = 2, now it is 3"):
        run_ablation(other, tmp_path, seeds=(0,), variants=chosen)


def test_the_learning_curve_trains_on_fewer_rooms_and_measures_on_the_same(
    config: AblationConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {}

    def note(_: object, data: TrainingData, run: Path, **__: object) -> None:
        size = (32, 64)
        seen[run.name] = [list(frames(size).names) for frames in (data.train, data.val)]
        raise KeyboardInterrupt

    monkeypatch.setattr(ablation, "train", note)
    for variant in (HALF, FULL):
        with pytest.raises(KeyboardInterrupt):
            run_ablation(config, tmp_path, seeds=(0,), variants=(variant,))
    (half, half_val), (full, full_val) = seen["half_of_rooms-seed0"], seen["full-seed0"]
    assert set(half) < set(full)
    assert half_val == full_val


def test_an_interrupted_run_goes_on_from_its_checkpoint(
    config: AblationConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trained, but killed before the result was written: nothing is trained again."""
    variant = SINGLE[2]
    result = run_ablation(config, tmp_path, seeds=(1,), variants=(variant,))[0]
    folder = tmp_path / "runs" / "single_normals-seed1"
    (folder / "result.json").unlink()
    before = (folder / "metrics.jsonl").read_text()
    again = run_ablation(config, tmp_path, seeds=(1,), variants=(variant,))[0]
    assert again.figures == result.figures
    assert (folder / "metrics.jsonl").read_text() == before


def test_the_command_prints_the_table(
    config: AblationConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = Args(
        Path(config.root),
        tmp_path,
        network="nano",
        size="32x64",
        steps=1,
        batch=1,
        seeds=1,
        variants=["multi_task", "full"],
        workers=0,
    )
    assert run(args) == 0
    printed = capsys.readouterr().out
    assert "| Plain multi-task |" in printed
    assert "| The full network beats plain multi-task learning |" in printed
    assert "(one seed)" in printed
    facts = json.loads((tmp_path / "ablation.json").read_text())
    assert len(facts["results"]) == 2
    assert set(facts["times"]) == {"multi_task", "full"}
    assert all(taken > 0 for of in facts["times"].values() for taken in of.values())
    with pytest.raises(MtpanoError, match=r"unknown variant 'sideways'"):
        run(replace(args, variants=["sideways"]))
    with pytest.raises(MtpanoError, match=r"seeds 0 is too small: expected 1 or more"):
        run(replace(args, seeds=0))


# --- the report, on made-up results --------------------------------------------------------------


def result(variant: str, seed: int, miou: float, rmse: float, mean: float) -> Result:
    figures = {
        "semseg": {"miou": miou},
        "depth": {"abs_rel": rmse / 4, "rmse": rmse, "delta1": 0.8},
        "normals": {"mean_deg": mean, "within_11_25": 0.7},
    }
    task = variant.removeprefix("single_")
    kept = {task: figures[task]} if task in figures else figures
    return Result(variant, seed, kept, parameters=1_000_000)


def test_the_table_has_means_spreads_and_the_papers_deltas(tmp_path: Path) -> None:
    """The paper's ablation (ViT-S on Matterport3D) for two seeds that agree."""
    results = []
    for seed in (0, 1):
        for task in ("semseg", "depth", "normals"):
            results.append(result(f"single_{task}", seed, 0.2414, 0.5523, 13.302))
        results.append(result(PLAIN.name, seed, 0.2194, 0.5427, 13.774))
        results.append(result(FULL.name, seed, 0.2689, 0.5234, 12.637))
    rows = rows_of(results)
    assert [row.variant.name for row in rows] == ["single", "multi_task", "full"]
    assert rows[0].parameters == 3_000_000
    times = {v.name: Times(0.5, 9) for v in (*SINGLE, PLAIN)}
    text = write_ablation_report(results, AblationConfig("rooms"), tmp_path, times)
    assert "| Single-task networks | 24.14 ± 0.00 | 0.1381 ± 0.0000 | 0.5523 ± 0.0000 |" in text
    assert "-3.64 ± 0.00" in text
    assert "7.21 ± 0.00" in text
    assert "| 3.00 | 1.50 | 27 |" in text  # three networks' times, added
    assert "| 1.00 | 0.50 | 9 |" in text
    assert "| 1.00 |  |  |" in text  # not measured
    assert (tmp_path / "ablation.md").read_text() == text


def test_changes_inside_the_spread_are_reported_as_none() -> None:
    assert verdict([0.02, 0.02, 0.03]) == "+2.3 ± 0.6"
    assert verdict([0.02, -0.02, 0.01]) == "none (+0.3 ± 2.1)"
    assert verdict([-0.05, -0.06]) == "-5.5 ± 0.7"
    assert verdict([0.1]) == "+10.0 (one seed)"
