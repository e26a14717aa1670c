"""Configurations of tiny networks of every kind."""

COMPACT = {"features": 4, "blocks": 1, "scales": [1, 2]}
REDEGNET = {
    "degnet": {"widths": [4, 4]},
    "synnet": {"widths": [4, 4], "style": 8, "kernel": 5, "grain_kernel": 5},
}
FACE = {"widths": [4, 4], "blocks": [1, 1]}
