"""One run at a time in a folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class LockError(RuntimeError):
    """A folder that another run works in, or that cannot be written."""


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Keep a folder, made if missing, for this block.

    The system gives the lock back when the process ends, however it ends; the `.lock` file that
    stays behind locks nothing.

    Raises:
        LockError: another run holds the folder, or it cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("a+")
    except (OSError, ValueError) as error:
        raise LockError(f"{folder} cannot be written ({error}): choose another folder") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise LockError(
                f"another run (process {file.read() or 'unknown'}) works in {folder}: wait until "
                "it has ended, or choose another folder"
            ) from None
        except OSError as error:
            raise LockError(
                f"the file system of {folder} has no locks ({error}): choose another folder"
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
