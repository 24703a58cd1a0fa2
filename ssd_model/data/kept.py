"""Keep small copies of large photographs, which take longer to decode than to learn from."""

import threading
from collections.abc import Callable

from PIL import Image

from ssd_model import workers
from ssd_model.data.faults import DataError
from ssd_model.data.records import Record

KEPT_BYTES = 1 << 30
"""Memory for the copies of all workers. Copies that do not fit are made again each time."""


class KeptImages:
    """Copies by image file and size, as many as fit; none is ever dropped for another.

    An epoch asks for each image once. A cache that makes room for the latest image would drop
    each one before it is needed again.
    """

    def __init__(self, limit: int = KEPT_BYTES) -> None:
        self.limit = limit
        self.bytes = 0
        self._copies: dict[tuple, Image.Image] = {}
        self._lock = threading.Lock()

    def get(self, record: Record, size: object, make: Callable[[], Image.Image]) -> Image.Image:
        """Return the copy of a record's image; make it if there is none. Do not change the copy.

        Args:
            size: distinguishes the copies of one image.

        Raises DataError as `make` does, or if the file is gone.
        """
        try:
            status = record.image.stat()
        except OSError as error:
            raise DataError(f"{record.image}: no such image file") from error
        changes = status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size
        key = record.image, record.upright, size, *changes
        if key not in self._copies:
            copy = make()
            with self._lock:
                needed = len(copy.getbands()) * copy.width * copy.height
                if key not in self._copies and self.bytes + needed <= self.limit // workers.size():
                    self._copies[key] = copy
                    self.bytes += needed
            return copy
        return self._copies[key]


KEPT = KeptImages()
"""The copies of this process, shared by all loaders, since they ask for the same images."""
