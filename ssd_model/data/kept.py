"""Keeps small copies of large photographs, which take longer to decode than to learn from."""

import threading
from collections.abc import Callable

from PIL import Image

from ssd_model.data.faults import DataError
from ssd_model.data.records import Record

KEPT_BYTES = 1 << 30
"""Memory for the copies of a process. Those that find no room are made again each time."""


class KeptImages:
    """Copies by image file and size, as many as fit; none is ever dropped for another.

    An epoch asks for each image once: a cache that makes room for the latest would have dropped
    each one before it is asked for again.
    """

    def __init__(self, limit: int = KEPT_BYTES) -> None:
        self.limit = limit
        self.bytes = 0
        self._copies: dict[tuple, Image.Image] = {}
        self._lock = threading.Lock()

    def get(self, record: Record, size: object, make: Callable[[], Image.Image]) -> Image.Image:
        """Return the copy of a record's image, made now if it is not there. Do not change it.

        Args:
            size: tells copies of one image apart.

        Raises DataError as `make` does, or if the file is gone.
        """
        try:
            status = record.image.stat()
        except OSError as error:
            raise DataError(f"{record.image}: no such image file") from error
        key = record.image, record.upright, size, status.st_mtime_ns, status.st_size
        if key not in self._copies:
            copy = make()
            with self._lock:
                needed = len(copy.getbands()) * copy.width * copy.height
                if key not in self._copies and self.bytes + needed <= self.limit:
                    self._copies[key] = copy
                    self.bytes += needed
            return copy
        return self._copies[key]


KEPT = KeptImages()
"""Of this process: whatever is trained, all loaders ask for the same images."""
