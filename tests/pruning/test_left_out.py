"""What configs of the original may say and is not here: refused by name, or taken as there."""

import pytest

from tests.pruning.test_config import ORIGINAL, assert_refused


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("'UniformPruneStrategy'", "'AutoPruneStrategy'", 11, "not here: searching networks"),
        ("'UniformPruneStrategy'", "'QuantizationStrategy'", 11, "not here: for int8 see"),
        ("'UniformPruneStrategy'", "'DistillationStrategy'", 11, "not here: a teacher goes"),
        ("'UniformPruneStrategy'", "'LightNASStrategy'", 11, "see paddleslim.nas"),
        ("version: 1.0", "version: 1.0\ninclude: ['a.py']", 2, "include is not here: classes"),
        ("pruners:", "controllers:", 2, "controllers is not here: searching"),
    ],
)
def test_what_the_original_had_is_refused_by_name(read, old, new, line, words):
    assert_refused(read, ORIGINAL, old, new, line, words)


def test_none_in_quotes_and_no_evaluation_are_taken(read):
    text = ORIGINAL.replace("'map'", "'None'").replace("'./checkpoints/'", "'None'")
    config = read(text.replace("epoch: 120", "epoch: 120\n    eval_epoch: 0"))
    assert config.strategies[0].metric_name is None
    assert (config.checkpoint_path, config.eval_epoch) == (None, 0)
