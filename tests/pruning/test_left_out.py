"""What configs of the original may say and is not here: refused by name, or taken as there."""

import pytest

from pruning.config import ConfigError
from tests.pruning.test_config import ORIGINAL, assert_refused


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("'UniformPruneStrategy'", "'AutoPruneStrategy'", 11, "not here: searching networks"),
        ("'UniformPruneStrategy'", "'QuantizationStrategy'", 11, "not here: for int8 see"),
        ("'UniformPruneStrategy'", "'DistillationStrategy'", 11, "not here: a teacher goes"),
        ("'UniformPruneStrategy'", "'LightNASStrategy'", 11, "see paddleslim.nas"),
        ("version: 1.0", "version: 1.0\ninclude: ['a.yaml']", 2, "include is not here: one file"),
        ("pruners:", "controllers:", 2, "controllers is not here: searching"),
    ],
)
def test_what_the_original_had_is_refused_by_name(read, old, new, line, words):
    assert_refused(read, ORIGINAL, old, new, line, words)


@pytest.mark.parametrize("none", ["'None'", "none", ""])
def test_a_metric_called_none_is_none_as_there(read, none):
    (strategy,) = read(ORIGINAL.replace("'map'", none)).strategies
    assert strategy.metric_name is None


def test_a_version_may_be_missing_as_there(read):
    assert read(ORIGINAL.replace("version: 1.0\n", "")).epoch == 120


def test_no_evaluation_is_refused_as_there(read):
    text = ORIGINAL.replace("epoch: 120", "epoch: 120\n    eval_epoch: 0")
    with pytest.raises(ConfigError, match="eval_epoch is 0; it must be a whole number, 1 or more"):
        read(text)
