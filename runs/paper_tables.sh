#!/usr/bin/env bash
# A pre-trained network -> fine-tuned and evaluated on ground truth, with the paper's figures beside ours.
#
#   runs/paper_tables.sh structured3d|stanford2d3d DATA INIT OUT
#   runs/paper_tables.sh --dry structured3d|stanford2d3d DATA INIT OUT       # all of it at a tiny size, in minutes
#
# DATA is the data set's folder (docs/evaluation.md has its layout). INIT are the weights to start from: OUT/run of
# runs/label_free.sh, what `mtpano convert-released` wrote, or default. Leaves OUT/run and OUT/report. Run it again to
# go on where it stopped.
#
#   MTPANO   the command (mtpano)
#   LAUNCH   the command that trains (MTPANO), for example "torchrun --nproc-per-node 8 -m mtpano_model"
#   TRAIN    more options of training, for example "--seed 1"
set -euo pipefail
train=() evaluate=()
if [[ ${1:-} == --dry ]]; then
    train=(--workers 0 --set precision=32-true
        "stages=[{height: 64, width: 128, steps: 2, batch: 2, learn: heads}, {height: 64, width: 128, steps: 4, batch: 2}]")
    evaluate=(--size 64x128 --pictures 1 --roll-frames 1)
    shift
fi
if [[ $# -ne 4 ]]; then
    sed -n '2,13s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
data=$1 root=$2 init=$3 out=$4
mtpano=${MTPANO:-mtpano}
# arXiv 2602.05330: MTPano, and TaskPrompter, with which it is compared there.
case $data in
    structured3d) paper="75.66 / .0248 / .0968 / 3.850" taskprompter="70.95 / .0414 / .1428 / 5.962" ;;
    stanford2d3d) paper="69.47 / .0675 / .4317 / 9.706" taskprompter="57.55 / .1171 / .5792 / 12.390" ;;
    *)
        echo "unknown data set '$data': expected structured3d or stanford2d3d" >&2
        exit 2
        ;;
esac

# shellcheck disable=SC2086 # MTPANO, LAUNCH and TRAIN hold several words each
{
    ${LAUNCH:-$mtpano} train --preset "finetune_$data" --data-root "$root" --init "$init" --out "$out/run" --resume \
        "${train[@]}" ${TRAIN:-}
    $mtpano evaluate --data "$data" --root "$root" --split val --model "$out/run" --out "$out/report" "${evaluate[@]}"
}
python3 - "$out/report/metrics.json" <<'END'
import json
import sys

with open(sys.argv[1]) as file:
    task = json.load(file)
figures = task["semseg"]["miou"] * 100, task["depth"]["abs_rel"], task["depth"]["rmse"], task["normals"]["mean_deg"]
print("this run (mIoU / AbsRel / RMSE / normals): {:.2f} / {:.4f} / {:.4f} / {:.3f}".format(*figures))
END
echo "paper (mIoU / AbsRel / RMSE / normals): $paper"
echo "TaskPrompter (mIoU / AbsRel / RMSE / normals): $taskprompter"
