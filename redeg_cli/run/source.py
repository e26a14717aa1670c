"""The file of an HQ: what it holds, and what shows whether it is still the same."""

import hashlib
from pathlib import Path

from redeg_cli.errors import InputError
from redeg_cli.io.decode import read_bytes
from redeg_cli.run.finished import Row
from redeg_cli.run.jobs import Job


def read_source(job: Job) -> tuple[bytes, Row]:
    """Return what the HQ's file holds, and what a row says of it. Raises InputError when it is not
    the one it must be."""
    try:
        state = file_state(job.hq)  # before it is read: what changes then is seen the next time
    except OSError as error:
        raise InputError(f"cannot read {job.hq}: {error.strerror or error}") from error
    data = read_bytes(job.hq)
    digest = digest_of(data)
    if job.hq_digest not in (None, digest):
        raise InputError(f"{job.hq} has changed since the manifest was written")
    return data, {"hq_digest": digest, **state}


def digest_of(data: bytes) -> str:
    """Return 16 hex digits that tell a file's content."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def file_state(path: Path) -> Row:
    """Return what shows, without reading it, that a file is probably as it was."""
    status = path.stat()
    return {"hq_bytes": status.st_size, "hq_mtime_ns": status.st_mtime_ns}
