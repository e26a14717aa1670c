#!/usr/bin/env bash
# Collect degradations into a pool and give them to sharp photos: training pairs for a restorer.
#
#   examples/build_pool_and_synthesize.sh [OLD SHARP [OUT]]
#
# OLD    a folder of degraded photos with faces in them, or a folder of aligned pairs with the
#        subfolders lq and hq (same file names, whatever the suffix)
# SHARP  a folder of sharp photos
# OUT    takes pool.npz and the folder synthetic with the degraded photos and manifest.jsonl
#
# SCALE=2 is the scale of the pairs, PYTHON=python the interpreter.
#
# Without arguments: the newsprint photo of this folder and two photos of scikit-image.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
python="${PYTHON:-python}"
scale="${SCALE:-2}"

out="${3:-runs/build_pool}"
mkdir -p "$out"
if (($# >= 2)); then
    old="$1" sharp="$2"
else
    old="$out/old" sharp="$out/sharp"
    mkdir -p "$old" "$sharp"
    cp "$here/old_photo.jpg" "$old"
    "$python" - "$sharp" <<'PYTHON'
import sys
from pathlib import Path

from skimage import data, io

for name in ("astronaut", "coffee"):
    io.imsave(Path(sys.argv[1]) / f"{name}.png", getattr(data, name)()[:256, 128:384])
PYTHON
fi

if [[ -d "$old/lq" && -d "$old/hq" ]]; then
    redeg build-pool "$old" -o "$out/pool.npz" --overwrite
else
    redeg build-pool --photos "$old" --scale "$scale" -o "$out/pool.npz" --overwrite
fi
redeg pool info "$out/pool.npz"

# Two versions of each photo, each with a degradation drawn from the pool. Run again after a stop,
# this goes on where it was; the manifest says what each file was made with.
redeg synthesize --pool "$out/pool.npz" "$sharp" -o "$out/synthetic" \
    --scale "$scale" --variants 2 --seed 1 --skip-existing
