"""Seeds that depend on what is made, never on the order in which it is made."""

import hashlib

import numpy as np
import torch


def sample_seed(run_seed: int, key: str, variant: int = 0) -> int:
    """Return the 63-bit seed of one sample.

    The same (run seed, key, variant) gives the same seed whatever the batch size, the number of
    workers, the order of the files or a resume. ``key`` is usually the image's relative name.
    """
    text = f"{run_seed}\x1f{key}\x1f{variant}"
    # A file's name need not be UTF-8: its bytes as they are.
    data = text.encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little") >> 1


def numpy_generator(seed: int) -> np.random.Generator:
    """Return a NumPy generator for ``seed``."""
    return np.random.default_rng(seed)


def torch_generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a torch generator on ``device`` for ``seed``."""
    return torch.Generator(device=device).manual_seed(seed % (1 << 63))
