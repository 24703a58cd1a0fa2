"""paddleslim's view of a Program with an index: its own looks through all operators each time."""

from collections import defaultdict

import paddle
from paddleslim.core import GraphWrapper, OpWrapper, VarWrapper


class IndexedGraph(GraphWrapper):
    """A `GraphWrapper` of a Program whose operators stay as they are."""

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
        return list(self._vars.values())

    def var(self, name: str) -> VarWrapper | None:
        return self._vars.get(name)


class _IndexedVar(VarWrapper):
    def inputs(self) -> list[OpWrapper]:
        return list(self._graph.writers[self.name()])

    def outputs(self) -> list[OpWrapper]:
        return list(self._graph.readers[self.name()])
