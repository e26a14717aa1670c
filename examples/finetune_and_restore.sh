#!/usr/bin/env bash
# Fine-tune the restorer on each photo of a folder, then restore other photos with each result.
#
#   examples/finetune_and_restore.sh [PHOTOS OTHERS [OUT]]
#
# PHOTOS  a folder of degraded photos with faces, to learn from
# OTHERS  a folder of photos degraded alike (of the same newspaper, album, tape ...)
# OUT     takes finetuned/NAME/ (weights and reports) and restored/NAME/ (the restored photos)
#
# STEPS=500 sets the length of a fine-tuning, HQ_DIR=FOLDER your own sharp photos.
#
# Without arguments: the newsprint photo of this folder, and a photo of scikit-image printed alike.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
python="${PYTHON:-python}"
scale=2

out="${3:-runs/finetune_and_restore}"
mkdir -p "$out"
if (($# >= 2)); then
    photos="$1" others="$2"
else
    photos="$out/photos" others="$out/others"
    mkdir -p "$photos" "$others"
    cp "$here/old_photo.jpg" "$photos"
    cp "$here/old_photo.jpg" "$others"
    PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}" "$python" - "$others/astronaut.jpg" <<'PYTHON'
import sys
from pathlib import Path

import numpy as np
from make_old_photo import degraded
from skimage import data

Path(sys.argv[1]).write_bytes(degraded(np.float32(data.astronaut()) / 255))
PYTHON
fi

options=(--scale "$scale")
[[ -z "${STEPS:-}" ]] || options+=(--steps "$STEPS")
[[ -z "${HQ_DIR:-}" ]] || options+=(--hq-dir "$HQ_DIR")

failed=0
for photo in "$photos"/*; do
    name="$(basename "${photo%.*}")"
    # A photo without a usable face is named by the tool; the others go on.
    if ! redeg finetune "$photo" -o "$out/finetuned/$name" "${options[@]}" --overwrite; then
        failed=1
        continue
    fi
    redeg restore "$others" -o "$out/restored/$name" --scale "$scale" --overwrite \
        --model "$out/finetuned/$name/f2n-finetuned.safetensors"
done

# The newsprint photo has a sharp original to be compared with.
restored="$out/restored/old_photo/old_photo.png"
if (($# < 2)) && [[ -f "$restored" ]]; then
    "$python" "$here/score.py" "$restored" --summary "$out/finetuned/old_photo/summary.json"
fi
exit "$failed"
