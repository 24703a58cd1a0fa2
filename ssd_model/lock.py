"""A lock that lets only one run at a time work in a folder."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


class LockError(RuntimeError):
    """A folder is in use by another run, or cannot be written."""


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Lock a folder for the length of a block; create it if missing.

    The system releases the lock when the process ends, however it ends; the `.lock` file that
    remains locks nothing.

    Raises:
        LockError: another run holds the folder, or it cannot be written.
    """
    folder = Path(folder)
    file = folder / ".lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = FileLock(file, blocking=False, fallback_to_soft=False).acquire()
    except Timeout:
        raise LockError(
            f"another run (process {file.read_text() or 'unknown'}) works in {folder}: wait until "
            "it has ended, or choose another folder"
        ) from None
    except (OSError, ValueError) as error:
        what = f"{folder} cannot be written"
        if getattr(error, "errno", None) in NO_LOCKS:
            what = f"the file system of {folder} has no locks"
        raise LockError(f"{what} ({error}): choose another folder") from error
    with held:
        file.write_text(str(os.getpid()))
        yield
