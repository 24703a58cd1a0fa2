"""paddleslim's view of a Program, with an index of who reads and who writes each Variable."""

from collections import defaultdict

import paddle
from paddleslim.core import GraphWrapper, OpWrapper, VarWrapper


class IndexedGraph(GraphWrapper):
    """A `GraphWrapper` of a Program that stays as it is.

    The original goes through all operators whenever it is asked for those around a Variable, which
    is nearly all of the seconds that following the channels took.
    """

    def __init__(self, program: paddle.static.Program):
        super().__init__(program)
        self._vars = {var.name: _IndexedVar(var, self) for var in program.list_vars()}
        self.readers: dict[str, list[OpWrapper]] = defaultdict(list)
        self.writers: dict[str, list[OpWrapper]] = defaultdict(list)
        for op in self.ops():
            for names, index in (
                (op._op.input_arg_names, self.readers),
                (op._op.output_arg_names, self.writers),
            ):
                for name in dict.fromkeys(names):
                    index[name].append(op)

    def vars(self) -> list[VarWrapper]:
        """All Variables."""
        return list(self._vars.values())

    def var(self, name: str) -> VarWrapper | None:
        """The Variable of a name."""
        return self._vars.get(name)


class _IndexedVar(VarWrapper):
    def inputs(self) -> list[OpWrapper]:
        """The operators that write it."""
        return list(self._graph.writers[self.name()])

    def outputs(self) -> list[OpWrapper]:
        """The operators that read it."""
        return list(self._graph.readers[self.name()])
