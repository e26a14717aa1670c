#!/usr/bin/env bash
# Teach the small, fast restorer what a large one does: LQs are made from sharp photos, the large one
# restores them, and the small one is trained on those pairs. So the texture that a GAN learned in
# weeks is had in an hour on a CPU.
#
#   examples/teach.sh HQ TEACHER [OUT]
#
# HQ       a folder of sharp photos, the more of them the better (428 were enough for a first one)
# TEACHER  a restorer at x4, a name or a file: realesrgan-x4plus (`redeg models download` brings it)
# OUT      takes lq/, hr/ (what the teacher made of them), and run/ with the weights
#
# DEGRADER=web says what makes the LQs, MINUTES=30 for how long the small one learns. The same
# command carries on a run that was stopped.
set -euo pipefail

hq="$1" teacher="$2" out="${3:-runs/taught}"

redeg synthesize "$hq" -o "$out/lq" --degrader "${DEGRADER:-web}" --scale 4 --seed 5
redeg restore "$out/lq" -o "$out/hr" --model "$teacher" --scale 4 --skip-existing
redeg train restorer --recipe f2n-compact-taught -o "$out/run" \
    --set "pairs=[\"$out\"]" --set "data=[]" --set "validation=[]" \
    --set steps=1000000 --set "minutes=${MINUTES:-30}"
