"""Reads files of a data folder that anybody may have made: only regular ones, and no giants."""

import stat
from pathlib import Path

from ssd_model.data.faults import DataError


def check_regular(path: str | Path) -> int:
    """Return the size in bytes of a regular file: a pipe or a device could be read for ever.

    Raises DataError if it is another thing, OSError if there is none.
    """
    status = Path(path).stat()
    if not stat.S_ISREG(status.st_mode):
        raise DataError("not a regular file; put the file itself there")
    return status.st_size


def read_bytes(path: Path, limit: int) -> bytes:
    """Return the content of a regular file.

    Raises DataError if it is something else or has more than `limit` bytes, OSError if it cannot
    be read.
    """
    size = check_regular(path)
    if size > limit:
        raise DataError(f"{size:,} bytes, above the limit of {limit:,}; split or shorten it")
    return path.read_bytes()
