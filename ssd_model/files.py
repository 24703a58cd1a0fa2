"""Write files completely or not at all, and tell what is in them."""

import hashlib
import json
import math
import os
from pathlib import Path
from typing import Any
from zlib import crc32


def write_file(path: Path, content: bytes) -> None:
    """Write a file completely or not at all, by way of a temporary file beside it.

    Raises:
        OSError: there is no room or no permission; an earlier file is then still there.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not the whole name, which may be as long as names may be
    unique = f"{crc32(os.fsencode(path.name)):x}.{os.getpid()}"
    temporary = path.with_name(f".{path.name[:40]}.{unique}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        if error.errno:
            error.filename = str(path)  # a failed write does not name the file
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write JSON; nan and infinity become null."""
    text = json.dumps(_plain(content), indent=2, allow_nan=False) + "\n"
    write_file(path, text.encode())


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, or of all files in a folder with their names.

    Raises:
        OSError: there is no such path, or it may not be read.
    """
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")):
        if file.is_file():
            digest.update(f"{file.relative_to(path)} {digest_of(file)} ".encode())
    return digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    """Flush a file's new name to the disk before anything relies on it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _plain(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _plain(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_plain(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content
