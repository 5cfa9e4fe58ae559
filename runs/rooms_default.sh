#!/usr/bin/env bash
# Rendered rooms -> a model like the bundled default model, and its report on the rooms held out.
#
#   ./run worlds --kinds home,office,hall --rooms 100 --size 256x512 --out ROOMS   # docs/worlds.md
#   runs/rooms_default.sh ROOMS OUT
#   runs/rooms_default.sh --dry ROOMS OUT        # all of it at a tiny size, in minutes
#
# Leaves OUT/run, OUT/model.onnx and OUT/report. Run it again to go on where it stopped.
# The default model itself came from a longer chain of runs: mtpano_model/weights/README.md.
#
#   MTPANO   the command (mtpano)
#   LAUNCH   the command that trains (MTPANO), for example "torchrun --nproc-per-node 8 -m mtpano_model"
#   TRAIN    more options of training: "--also store:0.08:REAL_LABELS" mixes labelled real panoramas
#            in, "--size 256x512 --steps 5000 --batch 32 --final-size none --workers 8" suits a GPU
set -euo pipefail
train=() evaluate=()
if [[ ${1:-} == --dry ]]; then
    train=(--network nano --size 64x128 --steps 4 --batch 2 --final-size 64x128 --final-steps 2 --final-batch 2 --workers 0)
    evaluate=(--pictures 1 --roll-frames 1)
    shift
fi
if [[ $# -ne 2 ]]; then
    sed -n '2,14s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
rooms=$1 out=$2
mtpano=${MTPANO:-mtpano}

# shellcheck disable=SC2086 # MTPANO, LAUNCH and TRAIN hold several words each
{
    ${LAUNCH:-$mtpano} train --preset rooms_small --data-root "$rooms" --out "$out/run" --resume "${train[@]}" ${TRAIN:-}
    $mtpano export "$out/run" --out "$out/model.onnx" --half-weights
    $mtpano evaluate --data rooms --root "$rooms" --split val --model "$out/model.onnx" --out "$out/report" "${evaluate[@]}"
}
