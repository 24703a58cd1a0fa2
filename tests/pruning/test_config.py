"""The config: the original's YAML is read, anything else refused with file, line and key."""

import json

import numpy as np
import pytest

from pruning.config import (
    ConfigError,
    SensitivePruneStrategy,
    UniformPruneStrategy,
    load_config,
    load_single_strategy,
    write_config,
)

# As the original tutorial's ssd example lays it out
ORIGINAL = """\
version: 1.0
pruners:
    pruner_1:
        class: 'StructurePruner'
        pruning_axis:
            '*': 0
        criterions:
            '*': 'l1_norm'
strategies:
    uniform_pruning_strategy:
        class: 'UniformPruneStrategy'
        pruner: 'pruner_1'
        start_epoch: 0
        target_ratio: 0.2
        metric_name: 'map'
        pruned_params: 'conv2d_[1-9].w_0|conv2d_1[0-2].w_0'
compressor:
    epoch: 120
    checkpoint_path: './checkpoints/'
    strategies:
        - uniform_pruning_strategy
"""


# As PaddleSlim's documentation laid it out
SENSITIVE = """\
version: 1.0
pruners:
    pruner_1:
        class: 'StructurePruner'
        pruning_axis:
            '*': 0
        criterions:
            '*': 'geometry_median'
            conv2d_3.w_0: 'l1_norm'
strategies:
    sensitive_pruning_strategy:
        class: 'SensitivePruneStrategy'
        pruner: 'pruner_1'
        start_epoch: 1
        delta_rate: 0.1
        target_ratio: 0.5
        num_steps: 2
        eval_rate: 0.2
        pruned_params: 'conv2d_[1-9].w_0'
        sensitivities_file: 'mobilenet_acc_loss.json'
        metric_name: 'map'
        channel_multiple: 8
compressor:
    epoch: 4
    strategies:
        - sensitive_pruning_strategy
"""


def test_the_originals_file(read):
    config = read(ORIGINAL)
    assert (config.epoch, config.eval_epoch, config.init_model) == (120, 1, None)
    assert str(config.checkpoint_path) == "checkpoints"
    assert config.strategies == (
        UniformPruneStrategy(
            name="uniform_pruning_strategy",
            start_epoch=0,
            target_ratio=0.2,
            pruned_params="conv2d_[1-9].w_0|conv2d_1[0-2].w_0",
            metric_name="map",
        ),
    )


def test_a_sensitive_strategy(read):
    (strategy,) = read(SENSITIVE).strategies
    assert strategy == SensitivePruneStrategy(
        name="sensitive_pruning_strategy",
        start_epoch=1,
        target_ratio=0.5,
        pruned_params="conv2d_[1-9].w_0",
        metric_name="map",
        criterions={"*": "geometry_median", "conv2d_3.w_0": "l1_norm"},
        channel_multiple=8,
        delta_rate=0.1,
        num_steps=2,
        eval_rate=0.2,
        sensitivities_file="mobilenet_acc_loss.json",
    )
    assert (1 - strategy.step_ratio) ** 2 == pytest.approx(0.5)


def test_training_goes_on_until_the_last_end_epoch(read):
    config = read(ORIGINAL.replace("start_epoch: 0", "start_epoch: 0\n        end_epoch: 200"))
    assert config.epoch == 200


def test_an_eval_rate_of_one_is_all_of_them(read):
    (strategy,) = read(SENSITIVE.replace("eval_rate: 0.2", "eval_rate: 1.0")).strategies
    assert strategy.eval_rate is None


def test_keys_left_empty_are_as_the_original_took_them(read):
    text = SENSITIVE.replace("'mobilenet_acc_loss.json'", "").replace(
        "  epoch: 4", "  epoch: 4\n    init_model:"
    )
    config = read(text)
    assert config.init_model is None
    assert config.strategies[0].sensitivities_file == "./sensitivities.json"
    text = ORIGINAL.replace("metric_name: 'map'", "metric_name:")
    assert read(text).strategies[0].metric_name is None
    text = ORIGINAL.replace("        - uniform_pruning_strategy\n", "")
    assert read(text).strategies == ()


def test_a_strategy_survives_json(read):
    for text in (ORIGINAL, SENSITIVE):
        config = read(text)
        content = config.strategies[0].model_dump()
        assert json.loads(json.dumps(content)) == content
        assert type(config.strategies[0])(**content) == config.strategies[0]
        assert config.model_dump()["strategies"] == (content,)


def test_when_a_step_is_due(read):
    (strategy,) = read(SENSITIVE.replace("epoch: 4", "epoch: 9")).strategies
    rows = [{"stage": "baseline", "map": 0.7}]
    assert [strategy.is_due(0, epoch, 9, rows) for epoch in (0, 1, 2)] == [False, True, False]
    rows += [{"stage": "pruned", "map": 0.5}, {"stage": "finetuned", "map": 0.6}]
    assert not strategy.is_due(1, 2, 9, rows)
    assert not strategy.is_due(1, 3, 9, [*rows, {"stage": "finetuned", "map": 0.604}])
    assert strategy.is_due(1, 3, 9, [*rows, {"stage": "finetuned", "map": 0.602}])
    # As many epochs left as steps
    assert strategy.is_due(1, 8, 9, rows)
    assert not strategy.is_due(2, 8, 9, rows)
    (uniform,) = read(ORIGINAL).strategies
    assert [uniform.is_due(0, epoch, 120, rows) for epoch in (0, 1)] == [True, False]
    assert not uniform.is_due(1, 119, 120, rows)


def assert_refused(read, text: str, old: str, new: str, line: int, words: str) -> None:
    """Check that a file with one piece changed is refused, with these words and at this line."""
    assert old in text
    with pytest.raises(ConfigError) as caught:
        read(text.replace(old, new, 1))
    message = str(caught.value)
    assert f"compress.yaml, line {line}: " in message, message
    assert words in message, message


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("delta_rate: 0.1", "delta_rate: 0.001", 15, "is 0.001; it must be 0.01 or more"),
        ("delta_rate: 0.1", "delta_rate: 1", 15, "is 1; it must be below 1"),
        ("num_steps: 2", "num_steps: 0", 17, "whole number, 1 or more"),
        ("num_steps: 2", "num_steps: 4", 24, "needs 5"),
        ("eval_rate: 0.2", "eval_rate: 1.5", 18, "must lie between 0 and 1"),
        ("channel_multiple: 8", "channel_multiple: 0", 22, "whole number, 1 or more"),
        ("        metric_name: 'map'\n", "", 11, "metric_name is missing"),
        ("'*': 'geometry_median'", "conv2d_1.w_0: 'l1_norm'", 7, "* is missing"),
        ("'SensitivePruneStrategy'", "'UniformPruneStrategy'", 15, "delta_rate is unknown"),
    ],
)
def test_what_is_wrong_with_a_sensitive_strategy(read, old, new, line, words):
    assert_refused(read, SENSITIVE, old, new, line, words)


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("target_ratio", "targetratio", 14, "unknown; allowed here: class, pruner"),
        ("        target_ratio: 0.2\n", "", 10, "target_ratio is missing"),
        ("0.2", "1.0", 14, "is 1; it must lie between 0 and 1"),
        ("0.2", "0", 14, "is 0; it must lie between 0 and 1"),
        ("0.2", ".nan", 14, "must be a number"),
        ("0.2", "'0.2'", 14, "is '0.2'; it must be a number"),
        ("0.2", "[0.2]", 14, "must be a number"),
        ("0.2", "true", 14, "must be a number"),
        ("0.2", "!!python/name:os.system ''", 14, "python/name"),
        ("0.2", "2026-02-30", 14, "day is out of range"),
        ("0.2", "0.2\n        target_ratio: 0.3", 15, "appears twice"),
        ("start_epoch: 0", "start_epoch: -1", 13, "whole number, 0 or more"),
        ("start_epoch: 0", "start_epoch: 0.5", 13, "whole number, 0 or more"),
        ("start_epoch: 0", "start_epoch: 121", 18, "would never run"),
        ("epoch: 120", "epoch: many", 18, "compressor.epoch is 'many'"),
        ("'UniformPruneStrategy'", "'Magic'", 11, "allowed: 'UniformPruneStrategy'"),
        ("pruner: 'pruner_1'", "pruner: 'pruner_2'", 12, "allowed: 'pruner_1'"),
        ("'*': 0", "'*': 1", 6, "is 1; allowed: 0"),
        ("'l1_norm'", "'l3_norm'", 8, "allowed: 'l1_norm'"),
        ("- uniform_pruning_strategy", "- other", 20, "names 'other'"),
        ("- uniform_pruning_strategy", "- [a]", 20, "names ['a']"),
        ("- uniform", "- uniform_pruning_strategy\n        - uniform", 20, "names one twice"),
        ("    strategies:\n        - uniform", "    strategies: uniform", 20, "a list of names"),
        ("pruned_params: 'conv2d_[1-9].w_0|conv2d_1[0-2].w_0'", "pruned_params: 7", 16, "a text"),
        ("compressor:", "compresor:", 17, "compresor is unknown"),
        (
            "pruner: 'pruner_1'",
            "pruners: 'pruner_1'",
            12,
            "pruners is unknown; allowed here: class",
        ),
        ("start_epoch: 0", "name: 'other'", 13, "name is unknown; allowed here: class, pruner"),
        ("start_epoch: 0", "criterions: {'*': 'l1_norm'}", 13, "criterions is unknown"),
        ("start_epoch: 0", "start_epoch: 1.0", 13, "is 1.0; it must be a whole number"),
        ("    pruner_1:\n", "    pruner_1: []\n    pruner_2:\n", 3, "must be a mapping"),
        ("'./checkpoints/'", "''", 19, "is ''; it must be a path"),
        ("'map'", '"\\ud800"', 15, "metric_name is not a plain value"),
        ("start_epoch", '"\\ud800"', 13, "\\ud800 has characters that cannot be printed"),
        ("version: 1.0", "version: 0", 1, "must be 1 or more"),
    ],
)
def test_what_is_wrong_and_where(read, old, new, line, words):
    assert_refused(read, ORIGINAL, old, new, line, words)


@pytest.mark.parametrize(
    "text",
    ["", "just text", "- a\n- list", "a: [", "a: !!python/object/apply:os.system ['true']", "\0"],
)
def test_what_is_no_config_at_all(read, text):
    with pytest.raises(ConfigError, match=r"compress\.yaml"):
        read(text)


def test_the_notebooks_want_one_strategy(tmp_path):
    path = tmp_path / "compress.yaml"
    write_config(path, 2, tmp_path, 0.2, "conv2d_1.w_0")
    assert load_single_strategy(path)[1].pruned_params == "conv2d_1.w_0"
    for epoch, ratio in ((0, 0.2), (2, None)):
        write_config(path, epoch, tmp_path, ratio, "conv2d_1.w_0")
        with pytest.raises(ConfigError, match="want one strategy and an epoch"):
            load_single_strategy(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.yaml"):
        load_config(tmp_path / "nowhere.yaml")


def test_written_configs_are_read_back(tmp_path):
    path = tmp_path / "folder" / "compress.yaml"
    pattern = "conv2d_1.w_0|it's # odd: 'quoted'"
    write_config(path, 3, tmp_path / "it's here", 0.35, pattern)
    config = load_config(path)
    assert config.strategies[0].pruned_params == pattern
    assert config.strategies[0].target_ratio == 0.35
    assert config.checkpoint_path == tmp_path / "it's here"


def test_numbers_of_numpy_can_be_written(tmp_path):
    path = tmp_path / "compress.yaml"
    for ratio in np.linspace(0.1, 0.7, 7):
        write_config(path, 3, tmp_path, ratio, "conv2d_1.w_0", channel_multiple=np.int64(8))
        (strategy,) = load_config(path).strategies
        assert (strategy.target_ratio, strategy.channel_multiple) == (ratio, 8)


def test_any_strategy_can_be_written(tmp_path):
    path = tmp_path / "compress.yaml"
    keys = {"num_steps": 2, "eval_rate": 0.2, "sensitivities_file": "it's here.json"}
    write_config(
        path, 3, tmp_path, 0.5, "conv2d_1.w_0", "SensitivePruneStrategy", "bn_scale", **keys
    )
    (strategy,) = load_config(path).strategies
    assert isinstance(strategy, SensitivePruneStrategy)
    assert strategy.criterions == {"*": "bn_scale"}
    assert {key: getattr(strategy, key) for key in keys} == keys
    with pytest.raises(ConfigError, match=r"num_steps is unknown"):
        write_config(path, 3, tmp_path, 0.5, "conv2d_1.w_0", num_steps=2)
