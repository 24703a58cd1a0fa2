"""YAML read key by key, so that what is wrong can be told with its line."""

import math
from pathlib import Path
from typing import Any

import yaml


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
        try:
            node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} is not YAML: {error}") from None
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(f"{path} is not a mapping of keys to values")
        return cls(path, "", node, 1)

    def __iter__(self):
        return iter(self._values)

    def fail(self, key, problem: str):
        line = self._lines.get(key, self._line)
        name = ".".join(filter(None, [self._where, str(key)]))
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
            self.fail(key, f"is {value!r}; allowed: {names}")
        return value

    def number(self, key, minimum=None, above=None, below=None, default=None) -> float:
        value = self._value(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
            self.fail(key, f"is {value!r}; it must be a number")
        if above is not None and not above < value < below:
            self.fail(key, f"is {value:g}; it must lie between {above} and {below}, both excluded")
        if minimum is not None and value < minimum:
            self.fail(key, f"is {value:g}; it must be {minimum} or more")
        return value

    def integer(self, key, minimum: int, default: int | None = None) -> int:
        value = self._value(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
            self.fail(key, f"is {value!r}; it must be a whole number, {minimum} or more")
        return value

    def text(self, key, optional: bool = False) -> str | None:
        value = self._value(key, None, optional)
        if value is None and optional:
            return None
        if not isinstance(value, str) or not value:
            self.fail(key, f"is {value!r}; it must be a text in quotes")
        return value

    def path(self, key) -> Path | None:
        text = self.text(key, optional=True)
        return Path(text) if text else None

    def names(self, key, defined: dict) -> list[str]:
        values = self._value(key, None, optional=True) or []
        if not isinstance(values, list):
            self.fail(key, "must be a list of names")
        for value in values:
            if not isinstance(value, str) or value not in defined:
                self.fail(key, f"names {value!r}, but strategies defines {list(defined)}")
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
        except (yaml.YAMLError, ValueError) as error:
            self.fail(key, f"is no plain value: {error}")


def _construct(node: yaml.Node) -> Any:
    """A value of plain types, as `yaml.safe_load` gives them."""
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()
