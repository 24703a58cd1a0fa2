"""Configs that are broken: see fuzzing.py."""

import pytest
from hypothesis import given

from pruning.config import CompressConfig, ConfigError, load_config
from tests.helpers.fuzzing import LONGEST_MESSAGE, broken, edits, no_hang
from tests.pruning.test_config import ORIGINAL


@broken("config")
def test_broken_configs(path):
    with no_hang(), pytest.raises(ConfigError) as caught:
        load_config(path)
    assert path.name in str(caught.value)
    assert len(str(caught.value)) < LONGEST_MESSAGE


VALUES = [
    "0", "-1", "1e400", ".nan", ".inf", "0x" + "f" * 400, "1:99:99", "2001-02-30", "~", "yes",
    "''", "!!int ''", "!!bool x", "!!binary '*'", "!!set {a}", "&a", "*a", "<<: ", "[", "]", "{",
    "}", ": ", "\n", "- ", "\t", "? ", "| ", "> ", "'", '"\\0"', '"\\ud800"', "#", "---\n",
    "%YAML 9.9\n",
]  # fmt: skip


@given(text=edits(ORIGINAL, VALUES))
def test_configs(scratch, text):
    path = scratch / "compress.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        with no_hang():
            config = load_config(path)
    except ConfigError as error:
        assert "compress.yaml" in str(error) and len(str(error)) < LONGEST_MESSAGE
    else:
        assert isinstance(config, CompressConfig) and config.epoch >= 0
        assert all(0 < strategy.target_ratio < 1 for strategy in config.strategies)
