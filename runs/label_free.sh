#!/usr/bin/env bash
# Panoramas without any labels -> teachers' labels -> a network trained on them, and its agreement with them.
#
#   runs/label_free.sh PANORAMAS OUT
#   runs/label_free.sh --dry PANORAMAS OUT       # all of it at a tiny size, in minutes
#
# PANORAMAS is a folder of 2:1 pictures, or a rosbag2. Leaves OUT/labels, OUT/run and OUT/report. Run it again to go
# on where it stopped. runs/paper_tables.sh then fine-tunes OUT/run. docs/scale.md says what it takes.
#
#   MTPANO    the command (mtpano)
#   TEACHERS  as docs/labels.md lists them (moge3 moge2-normals dap:model.pth da2 eomt, with DAP's weights in ./model.pth)
#   ON        where to label (local:1): local:N, ray or slurm:N
#   LABEL     more options of labelling, for example "--device cuda --threads 2"
#   LAUNCH    the command that trains (MTPANO), for example "torchrun --nproc-per-node 8 -m mtpano_model"
#   TRAIN     more options of training, for example "--seed 1"
set -euo pipefail
label=() train=() evaluate=()
if [[ ${1:-} == --dry ]]; then
    label=(--height 64 --patches 4 --patch-size 64)
    train=(--network nano --workers 0 --set "backbone_weights=''" precision=32-true
        "stages=[{height: 64, width: 128, steps: 2, batch: 2, learn: heads}, {height: 64, width: 128, steps: 4, batch: 2}]")
    evaluate=(--pictures 1 --roll-frames 1)
    shift
fi
if [[ $# -ne 2 ]]; then
    sed -n '2,15s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
panoramas=$1 out=$2
mtpano=${MTPANO:-mtpano}

# shellcheck disable=SC2086 # MTPANO, TEACHERS, LABEL, LAUNCH and TRAIN hold several words each
{
    $mtpano label --input "$panoramas" --out "$out/labels" --teacher ${TEACHERS:-moge3 moge2-normals dap:model.pth da2 eomt} \
        --on "${ON:-local:1}" "${label[@]}" ${LABEL:-}
    status=$($mtpano label --out "$out/labels" --status)
    echo "$status"
    if [[ $status != *" 0 running, 0 lost, 0 failed, 0 waiting"* ]]; then
        echo "labelling has not ended: run this again when the job has, to label what is left and to train" >&2
        exit 1
    fi
    ${LAUNCH:-$mtpano} train --preset pretrain_label_free --data-root "$out/labels" --out "$out/run" --resume "${train[@]}" ${TRAIN:-}
    $mtpano evaluate --data store --root "$out/labels" --split val --model "$out/run" --out "$out/report" "${evaluate[@]}"
}
