"""Add a teacher's lesson to batches, besides the ground truth."""

from collections.abc import Iterator
from pathlib import Path

import paddle
from paddle.static import Program, Scope

from ssd_model.data.readers import Reader, feeds
from ssd_model.fusion import fused
from ssd_model.place import default_place
from ssd_model.programs import TEACHER_FEED, Detector, Lesson, build_detector, new_scope
from ssd_model.scope import kept_variables, read_tensor, write_tensor
from ssd_model.weights import load_weights


class TaughtReader:
    """A reader whose batches also hold a trained network's lesson on their images.

    A train Program built with a teacher thus gets soft targets the same way it gets labels, and a
    teacher is never pruned along with its pupil.

    Args:
        reader: yields batches by Variable name, see `ssd_model.data.readers.feeds`.
        teacher: an eval Program and its Variables.
        scope: holds the teacher's parameters; it is only read.
        lesson: what is learnt from it.
    """

    def __init__(self, reader: Reader, teacher: Detector, scope: Scope, lesson: Lesson):
        self._reader, self._image = reader, teacher.image.name
        self._lesson = [variable.name for variable in teacher.lesson(lesson)]
        self._program, self._scope = teacher.program, scope
        self.batch_sampler = getattr(reader, "batch_sampler", None)

    def __getstate__(self) -> dict:
        kept = kept_variables(self._scope, [self._program])
        tensors = {var.name: read_tensor(self._scope, var.name) for var in kept}
        program = self._program.desc.serialize_to_string()
        return {**vars(self), "_program": program, "_scope": tensors}

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state, _program=Program.parse_from_string(state["_program"]))
        self._scope = Scope()
        for name, array in state["_scope"].items():
            write_tensor(self._scope, name, array)

    def __iter__(self) -> Iterator[dict]:
        executor = paddle.static.Executor(default_place())
        with fused(self._program, self._scope, self._lesson) as (program, scope):
            for feed in feeds(self._reader):
                # use_prune: run only the part of the eval Program that leads to the lesson.
                values = executor.run(
                    program,
                    feed={self._image: feed[self._image]},
                    fetch_list=self._lesson,
                    scope=scope,
                    use_prune=True,
                )
                yield {**feed, **{TEACHER_FEED.format(i): value for i, value in enumerate(values)}}


def taught_by(
    reader: Reader, weights: Path, class_num: int, lesson: Lesson, image_size: int = 300
) -> TaughtReader:
    """Make a reader whose batches also hold the unpruned network's lesson with these weights.

    Raises:
        WeightsError: the weights do not fit.
    """
    teacher = build_detector(class_num, is_train=False, image_size=image_size)
    scope = new_scope(teacher)
    load_weights(teacher.program, weights, scope, strict=True)
    return TaughtReader(reader, teacher, scope, lesson)
