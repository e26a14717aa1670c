#!/usr/bin/env bash
# Real-world super-resolution from LR images alone: kernels, noise and JPEG are read off the LR
# images, put on sharp ones, and networks trained on the pairs are compared (after Aakerberg et al.
# 2021, "Real-World Super-Resolution of Face-Images from Surveillance Cameras").
#
#   examples/surveillance_faces.sh [LR HR [OUT]]
#
# LR   a folder of real LR images, at least 64x64 px, such as faces of a surveillance camera
# HR   a folder of sharp images of the same kind, at least 128x128 px; the last few are held out
# OUT  takes kernels.npz, noise.npz, the trained networks and two tables
#
# STEPS=300, KERNELS=8, KERNEL_STEPS=300 and TEST=6 set how much is done: the defaults show
# the way in minutes on a CPU, with a small network that starts as a bicubic enlargement (and shows a
# faint grid still: 300 steps are few for an adversarial loss). FULL=1 takes the paper's network,
# crops and batches (give it a GPU, and STEPS=400000).
#
# Without arguments: sharp photos of scikit-image, and others of them made into LR images.
set -euo pipefail

python="${PYTHON:-python}"
steps="${STEPS:-300}" test="${TEST:-6}"

out="${3:-runs/surveillance_faces}"
mkdir -p "$out"
if (($# >= 2)); then
    lr="$1" hr="$2"
else
    lr="$out/lr" hr="$out/hr"
    mkdir -p "$lr" "$hr"
    "$python" - "$lr" "$hr" <<'PYTHON'
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from skimage import data

lr, hr = map(Path, sys.argv[1:])
rng = np.random.default_rng(0)
for name in ("astronaut", "coffee"):
    photo = Image.fromarray(getattr(data, name)()[:, :, :3])
    for number, left in enumerate(range(0, photo.width - 255, 64)):
        photo.crop((left, 64, left + 256, 320)).save(hr / f"{name}_{number}.png")
photo = Image.fromarray(data.chelsea()).filter(ImageFilter.GaussianBlur(1.5))
for number, left in enumerate(range(0, photo.width - 299, 50)):
    small = photo.crop((left, 0, left + 300, 300)).resize((150, 150), Image.Resampling.BOX)
    noisy = np.asarray(small) + 5 * rng.standard_normal((150, 150, 3))
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(lr / f"{number}.jpg", quality=60)
PYTHON
fi

# What the LR images say of themselves. Images that cannot be used are named; the others go on.
rm -f "$out/kernels.npz" "$out/noise.npz"
redeg build-kernels "$lr" -n "${KERNELS:-8}" --steps "${KERNEL_STEPS:-300}" -o "$out/kernels.npz" ||
    [[ -f "$out/kernels.npz" ]]
redeg build-noise "$lr" -o "$out/noise.npz" || true
# Compressed images seldom have 32x32 px of even noise.
[[ -f "$out/noise.npz" ]] || redeg build-noise "$lr" --patch 16 --variance 0.5 -o "$out/noise.npz"
redeg pool info "$out/kernels.npz" "$out/noise.npz"
redeg pool plot "$out/kernels.npz" -o "$out/kernels.png" --overwrite
redeg pool plot "$out/noise.npz" -o "$out/noise.png" --overwrite

# Sharp images to learn from, and the last few to measure on.
rm -rf "$out/train" "$out/test"
mkdir -p "$out/train" "$out/test/hr"
"$python" - "$hr" "$out/train" "$out/test/hr" "$test" <<'PYTHON'
import sys
from pathlib import Path

from redeg_cli.io.images import read_rgb, write_rgb
from redeg_cli.io.listing import list_images

hr, train, test = map(Path, sys.argv[1:4])
files = list_images([hr])
held_out = min(int(sys.argv[4]), len(files) // 2)
for number, file in enumerate(files):
    if number < len(files) - held_out:
        (train / f"{number:05d}{file.path.suffix}").symlink_to(file.path.resolve())
        continue
    rgb = read_rgb(file.path)[:512, :512]
    height, width = (side // 4 * 4 for side in rgb.shape[:2])
    write_rgb(test / f"{number:05d}.png", rgb[:height, :width])
PYTHON
redeg synthesize "$out/test/hr" -o "$out/test/lr" --scale 4 --seed 1 --overwrite \
    --degrader kernel-noise --kernels "$out/kernels.npz" --noise "$out/noise.npz" --jpeg 30

options=(--set "steps=$steps" --set "data=[{\"folder\": \"$out/train\"}]" --set "validation=[]")
if [[ -z "${FULL:-}" ]]; then
    options+=(--set architecture=f2n-compact)
    options+=(--set 'config={"features": 24, "blocks": 4, "scales": [4]}')
    options+=(--set crop=24 --set batch=8 --set ema=0.98)
fi
pools=(--set "kernels=$out/kernels.npz" --set "noise=$out/noise.npz")
pools+=(--set "init=$out/bicubic-trained/f2n.safetensors")
start=(--set queue=0)
if [[ -z "${FULL:-}" ]]; then
    start+=(--set learning_rate=1e-3)
    # A new discriminator's first steps would undo a small network.
    pools+=(--set discriminator_width=16 --set warm_up=100)
fi

bicubic='{"op": "resize", "of": "native", "filter": "bicubic", "antialias": true}'
# The start of all others: trained on pairs that bicubic shrinking makes.
redeg train restorer --recipe f2n -o "$out/bicubic-trained" "${options[@]}" \
    "${start[@]}" --set "degradation={\"steps\": [$bicubic]}"
models=(--model bicubic --model "bicubic-trained=$out/bicubic-trained/f2n.safetensors")
for jpeg in none 30; do
    for lpips in 0 0.001; do
        name="kernel-noise"
        [[ $jpeg == none ]] || name+="+jpeg"
        [[ $lpips == 0 ]] || name+="+lpips"
        redeg train restorer --recipe rwsr-face -o "$out/$name" "${options[@]}" "${pools[@]}" \
            --set "jpeg=$jpeg" --set "lpips_weight=$lpips"
        models+=(--model "$name=$out/$name/rwsr-face.safetensors")
    done
done

# Against the sharp images; then on real LR images, which have none.
redeg evaluate restore --reference "$out/test/hr" --lq "$out/test/lr" "${models[@]}" \
    --metric psnr --metric ssim --baseline bicubic -o "$out/synthetic" --overwrite
mkdir -p "$out/real"
"$python" - "$lr" "$out/real" "$test" <<'PYTHON'
import shutil
import sys
from pathlib import Path

from redeg_cli.io.listing import list_images

target = Path(sys.argv[2])
for file in list_images([Path(sys.argv[1])])[: int(sys.argv[3])]:
    shutil.copy(file.path, target / file.path.name)
PYTHON
redeg evaluate restore --lq "$out/real" --scale 4 "${models[@]}" -o "$out/real-table" --overwrite
