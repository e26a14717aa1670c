"""Losses that compare rows with each other are those of the whole batch, in several processes."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import torch

from redeg_cli.train.losses import contrast, relative_attraction
from redeg_cli.train.processes import of_all_processes

PROGRAM = """
import sys, torch
import torch.distributed as distributed
from redeg_cli.train.losses import contrast, relative_attraction
from redeg_cli.train.processes import of_all_processes

distributed.init_process_group("gloo")
rank = distributed.get_rank()
weight = torch.eye(6, requires_grad=True)
first, second = (torch.rand(4, 6, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
own = slice(2 * rank, 2 * rank + 2)
a, b = of_all_processes(first[own] @ weight), of_all_processes(second[own] @ weight)
loss = contrast(a, b) + relative_attraction(a, b)
loss.backward()
distributed.all_reduce(weight.grad)
if rank == 0:
    torch.save((loss.detach(), weight.grad / 2), sys.argv[1])  # DDP takes the mean
distributed.barrier()  # one that leaves while the other still talks may abort
distributed.destroy_process_group()
"""


def test_two_processes_have_the_gradient_of_one(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    path = str(Path(__file__).parents[2])
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path / "found.pt")],
            env={**os.environ, **shared, "RANK": str(rank), "PYTHONPATH": path},
        )
        for rank in range(2)
    ]
    assert [run.wait(120) for run in runs] == [0, 0]
    loss, gradient = torch.load(tmp_path / "found.pt", weights_only=True)
    weight = torch.eye(6, requires_grad=True)
    a, b = (
        of_all_processes(torch.rand(4, 6, generator=torch.Generator().manual_seed(s)) @ weight)
        for s in (0, 1)
    )
    wanted = contrast(a, b) + relative_attraction(a, b)
    wanted.backward()
    torch.testing.assert_close(loss, wanted.detach())
    torch.testing.assert_close(gradient, weight.grad)
