#!/usr/bin/env bash
# The robot's loop: a bag of panoramas -> pseudo-labels -> a fine-tuned model for the node.
#
#   ros2 bag record /camera/image_raw          # on the robot: every room it should know
#   ./run mtpano train --help                  # once: makes .venv, with torch
#   PATH=$PWD/.venv/bin:$PATH examples/robot_loop.sh BAG OUT [TEACHER ...]
#
# TEACHER as docs/labels.md lists them. The default is moge2 and mask2former, which need
#   .venv/bin/pip install git+https://github.com/microsoft/MoGe
# and load their weights from the Hugging Face hub. LABEL and TRAIN add options to labelling and
# training, EXPORT replaces the export's --half-weights, INIT the default model that training starts
# from and is compared with. ALSO names what else is trained on, as --also of mtpano train does: by
# default the rendered worlds beside this script, in three of ten panoramas, because a recording
# alone makes depth and classes worse elsewhere. ALSO= mixes nothing in. Run again to continue.
set -euo pipefail
if [[ $# -lt 2 ]]; then
    sed -n '2,15s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
bag=$1 out=$2
shift 2
teachers=("${@:-moge2}")
[[ $# -gt 0 ]] || teachers+=(mask2former)
worlds=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/worlds
also=()
if [[ -n ${ALSO+set} ]]; then
    # shellcheck disable=SC2206 # it may name several
    also=($ALSO)
elif [[ -d $worlds ]]; then
    also=("rooms:0.3:$worlds")
fi
[[ ${#also[@]} -eq 0 ]] || also=(--also "${also[@]}")

# shellcheck disable=SC2086 # LABEL, TRAIN and EXPORT hold several options each
mtpano label --input "$bag" --teacher "${teachers[@]}" --out "$out/labels" ${LABEL:-}
# shellcheck disable=SC2086
mtpano train --preset finetune_bag --data-root "$out/labels" --out "$out/run" --init "${INIT:-default}" --resume \
    "${also[@]}" ${TRAIN:-}
# shellcheck disable=SC2086
mtpano export "$out/run" --out "$out/model.onnx" ${EXPORT:---half-weights}
for model in before:${INIT:-default} after:$out/model.onnx; do
    echo "agreement with the teachers on the recording's last tenth, ${model%%:*} training:"
    mtpano evaluate --data store --root "$out/labels" --split val --model "${model#*:}" --out "$out/agreement/${model%%:*}"
done
echo "restart the node: ros2 launch mtpano_ros pano.launch.py model:=$(realpath "$out/model.onnx")"
