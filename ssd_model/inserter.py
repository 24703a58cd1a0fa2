"""Put operators into a Program that is already built."""

from typing import Any

import numpy as np
from paddle.static import Program

from ssd_model.star import RING


class Inserter:
    """Puts operators into a Program, one after the other from an index on."""

    def __init__(self, program: Program, index: int):
        self._block, self._index = program.global_block(), index

    def __call__(self, kind: str, inputs: dict, outputs: dict, **attributes: Any) -> None:
        """Insert an operator; Variables that it writes are made, if they are new."""
        for name in (name for names in outputs.values() for name in np.ravel(names).tolist()):
            if not self._block.has_var(name):
                self._block.create_var(name=name, dtype="float32", stop_gradient=True)
        # `_insert_op` would compare the whole block with C++'s before each of 1,500 operators.
        self._block._insert_op_without_sync(
            self._index, type=kind, inputs=inputs, outputs=outputs, attrs=attributes
        )
        self._index += 1

    def sum_over_workers(self, name: str) -> None:
        """Replace a Variable by its sum over the workers."""
        self("all_reduce", {"x": name}, {"out": name}, ring_id=RING, reduce_type=0)

    def add_up(self, vectors: list[str], sums: list[str], weight: str = "", **split: Any) -> None:
        """Sum each of several vectors over the workers, weighted perhaps, in one message."""
        piece = f"{sums[0]}.piece"
        self("concat", {"X": vectors}, {"Out": piece}, axis=0)
        if weight:
            self("elementwise_mul", {"X": piece, "Y": weight}, {"Out": piece}, axis=-1)
        self.sum_over_workers(piece)
        self("split", {"X": piece}, {"Out": sums}, axis=0, **split)
