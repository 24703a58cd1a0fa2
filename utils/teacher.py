"""Batches that carry a teacher's answers beside the ground truth."""

from collections.abc import Iterator

import paddle

from ssd_model.programs import TEACHER_FEEDS, Detector
from utils import runtime
from utils.readers import Reader, feeds


class TaughtReader:
    """A reader whose batches also hold what a trained network answers to their images.

    So a train Program made with `teacher=True` gets soft targets in the way it gets labels, and
    a teacher is never pruned with its pupil.

    Args:
        reader: batches by Variable name, see `utils.readers.feeds`.
        teacher: an eval Program and its Variables.
        scope: holds the teacher's parameters; it is only read.
    """

    def __init__(self, reader: Reader, teacher: Detector, scope):
        self._reader, self._teacher, self._scope = reader, teacher, scope
        self._executor = paddle.static.Executor(paddle.CPUPlace())
        self.batch_sampler = getattr(reader, "batch_sampler", None)
        runtime.use_onednn(teacher.program, everywhere=True)

    def __iter__(self) -> Iterator[dict]:
        image = self._teacher.image.name
        answers = [self._teacher.location.name, self._teacher.confidence.name]
        for feed in feeds(self._reader):
            # use_prune: of the eval Program only what leads to the answers is run.
            values = self._executor.run(
                self._teacher.program,
                feed={image: feed[image]},
                fetch_list=answers,
                scope=self._scope,
                use_prune=True,
            )
            yield {**feed, **dict(zip(TEACHER_FEEDS, values, strict=True))}
