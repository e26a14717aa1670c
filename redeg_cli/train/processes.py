"""What the processes of a run must know of each other within a step."""

import torch
import torch.distributed
from torch import Tensor


def of_all_processes(rows: Tensor) -> Tensor:
    """Return the rows (N, ...) of all processes (PN, ...), each with as many; with gradients.

    A loss that compares rows with each other is that of the whole batch then, the same in every
    process. Each hands its gradient back to the process that a row came from, where they add up
    P-fold, which the mean over the processes that DDP takes divides again.
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return rows
    from torch.distributed.nn.functional import all_gather

    return torch.cat(list(all_gather(rows.contiguous())))
