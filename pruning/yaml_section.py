"""YAML read key by key, so that what is wrong can be told with its line."""

import os
from pathlib import Path
from typing import Any

import yaml

LONGEST_FILE = 100_000
"""Bytes; a config has hundreds."""
LARGEST_NUMBER = 1_000_000


class ConfigError(ValueError):
    """A compression config that cannot be used; the message names file, line and key."""


class Section:
    """A mapping of the file that knows where each of its keys stands."""

    def __init__(self, path: Path, where: str, node: yaml.MappingNode | None, line: int):
        self._path, self._where, self._line = path, where, line
        self._values: dict[Any, yaml.Node] = {}
        self._lines: dict[Any, int] = {}
        for key_node, value_node in node.value if node else ():
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else str(key_node)
            self._lines[key] = key_node.start_mark.line + 1
            if key in self._values:
                self.fail(key, "stands there twice")
            self._values[key] = value_node

    @classmethod
    def read(cls, path: Path) -> "Section":
        if path.stat().st_size > LONGEST_FILE:
            raise ConfigError(f"{path} is longer than {LONGEST_FILE:,} bytes: that is no config")
        try:
            node = yaml.compose(path.read_text(encoding="utf-8"), Loader=_Loader)
        except RecursionError:
            raise ConfigError(f"{path} is not a config: it is nested too deeply") from None
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            raise ConfigError(f"{path} is not YAML: {error}") from None
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(f"{path} is not a mapping of keys to values")
        return cls(path, "", node, 1)

    def __iter__(self):
        return iter(self._values)

    def fail(self, key, problem: str):
        line = self._lines.get(key, self._line)
        name = ".".join(filter(None, [self._where, _short(str(key))]))
        raise ConfigError(f"{self._path}, line {line}: {name} {problem}")

    def allow(self, *keys: str) -> None:
        for key in self._values:
            if key not in keys:
                self.fail(key, f"is unknown; allowed here: {', '.join(keys)}")

    def section(self, key, optional: bool = False) -> "Section":
        node = self._node(key, optional)
        if node is not None and not isinstance(node, yaml.MappingNode):
            self.fail(key, "must be a mapping of keys to values")
        where = ".".join(filter(None, [self._where, str(key)]))
        return Section(self._path, where, node, self._lines.get(key, self._line))

    def sections(self) -> list[tuple[str, "Section"]]:
        return [(key, self.section(key)) for key in self]

    def choice(self, key, allowed: tuple) -> Any:
        value = self._value(key)
        if value not in allowed or isinstance(value, bool):
            names = ", ".join(map(repr, allowed)) or "nothing (none is defined)"
            self.fail(key, f"is {_shown(value)}; allowed: {names}")
        return value

    def number(self, key, minimum=None, above=None, below=None, default=None) -> float:
        value = self._value(key, default)
        plain = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not plain or not abs(value) <= LARGEST_NUMBER:  # which nan is not
            self.fail(key, f"is {_shown(value)}; it must be a number up to {LARGEST_NUMBER:,}")
        if above is not None and not above < value < below:
            self.fail(key, f"is {value:g}; it must lie between {above} and {below}, both excluded")
        if minimum is not None and value < minimum:
            self.fail(key, f"is {value:g}; it must be {minimum} or more")
        return value

    def integer(self, key, minimum: int, default: int | None = None) -> int:
        value = self._value(key, default)
        plain = isinstance(value, int) and not isinstance(value, bool)
        if not plain or not minimum <= value <= LARGEST_NUMBER:
            self.fail(
                key,
                f"is {_shown(value)}; it must be a whole number, {minimum} or more and at most "
                f"{LARGEST_NUMBER:,}",
            )
        return value

    def text(self, key, optional: bool = False) -> str | None:
        value = self._value(key, None, optional)
        if value is None and optional:
            return None
        if not isinstance(value, str) or not value:
            self.fail(key, f"is {_shown(value)}; it must be a text in quotes")
        return value

    def path(self, key) -> Path | None:
        text = self.text(key, optional=True)
        if text is None:
            return None
        try:
            if "\0" in text:
                raise ValueError("a zero byte")
            os.fsencode(text)
        except ValueError as error:
            self.fail(key, f"is {_shown(text)}, which can be no path: {error}")
        return Path(text)

    def names(self, key, defined: dict) -> list[str]:
        values = self._value(key, None, optional=True) or []
        if not isinstance(values, list):
            self.fail(key, "must be a list of names")
        for value in values:
            if not isinstance(value, str) or value not in defined:
                self.fail(key, f"names {_shown(value)}, but strategies defines {list(defined)}")
        if len(set(values)) < len(values):
            self.fail(key, f"names one twice: {values}")
        return values

    def _node(self, key, optional: bool) -> yaml.Node | None:
        if key not in self._values and not optional:
            self.fail(key, "is missing")
        return self._values.get(key)

    def _value(self, key, default=None, optional: bool = False) -> Any:
        node = self._node(key, optional or default is not None)
        if node is None:
            return default
        try:
            return _construct(node)
        except Exception as error:  # PyYAML lets out whatever goes wrong inside
            self.fail(key, f"is no plain value: {_short(str(error))}")


class _Loader(yaml.SafeLoader):
    """Without aliases, a few lines of which can stand for gigabytes."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(problem="write it out: no aliases here", problem_mark=mark)
        return super().compose_node(parent, index)


def _shown(value: Any) -> str:
    """A value for a message."""
    try:
        return _short(repr(value))
    except ValueError:  # Python does not print whole numbers of thousands of digits
        return "a number of thousands of digits"


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}..."


def _construct(node: yaml.Node) -> Any:
    """A value of plain types, as `yaml.safe_load` gives them."""
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()
