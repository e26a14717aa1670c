#!/usr/bin/env bash
# Learn the degradation Ω of one aligned pair: a degraded picture and its sharp version.
#
#   examples/extract_omega.sh [LQ HQ [OMEGA.npz]]
#
# Without arguments the newsprint photo of this folder and its original are the pair.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
python="${PYTHON:-python}"

if (($# >= 2)); then
    lq="$1" hq="$2"
else
    mkdir -p runs/extract_omega
    lq=runs/extract_omega/old_photo.jpg hq=runs/extract_omega/original.png
    "$python" "$here/make_old_photo.py" --output "$lq" --original "$hq" >&2
fi
omega="${3:-runs/extract_omega/omega.npz}"
mkdir -p "$(dirname "$omega")"

# The LQ may have the HQ's size, or be smaller by a whole factor up to 4 (found automatically).
redeg extract-omega "$lq" "$hq" -o "$omega" --overwrite
redeg pool info "$omega"
