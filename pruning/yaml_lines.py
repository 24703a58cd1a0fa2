"""Read a YAML file as plain values, with the line of each key for error messages."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml
from pydantic import BaseModel, ValidationError

LONGEST_FILE = 100_000
"""The size limit in bytes; a config has hundreds."""


class ConfigError(ValueError):
    """A compression config cannot be used; the message names the file, line and key."""


@dataclass(frozen=True)
class YamlFile:
    """The content of a file; keys are strings, as written."""

    path: Path
    values: dict[str, Any]
    lines: dict[tuple[str, ...], int]
    """The line of each key, by its path: the keys above it, then the key."""

    @classmethod
    def read(cls, path: Path) -> "YamlFile":
        """Read a file of one mapping.

        Raises:
            ConfigError: the file is too long, is not YAML, is not a mapping, or has aliases; a key
                appears twice; or a value is not of a plain type.
            FileNotFoundError: there is no such file.
        """
        if path.stat().st_size > LONGEST_FILE:
            raise ConfigError(f"{path} is longer than {LONGEST_FILE:,} bytes: that is not a config")
        try:
            node = yaml.compose(path.read_text(encoding="utf-8"), Loader=_Loader)
        except RecursionError:
            raise ConfigError(f"{path} is not a config: it is nested too deeply") from None
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            raise ConfigError(f"{path} is not YAML: {error}") from None
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(f"{path} is not a mapping of keys to values")
        file = cls(path, {}, {(): 1})
        file.values.update(file._plain(node, ()))
        return file

    def fail(self, where: tuple, problem: str) -> NoReturn:
        """Raise a ConfigError at a key's line or, if the key is missing, at that of its parent."""
        found = next(where[:n] for n in range(len(where), -1, -1) if where[:n] in self.lines)
        name = ".".join(_short(str(key)) for key in where)
        message = f"{self.path}, line {self.lines[found]}: {name} {_short(problem, 1000)}"
        raise ConfigError(message.encode("utf-8", "backslashreplace").decode())

    def parse(
        self, model: type[BaseModel], *where: str, settled: Collection[str] = (), **given
    ) -> Any:
        """Turn a mapping of the file into a model.

        Args:
            where: the mapping's key, with the keys above it.
            settled: keys of the mapping that the caller handles, unknown to the model.
            given: fields of the model that come from the caller, not from the file.

        Raises:
            ConfigError: a key is unknown or missing, or the model refuses a value.
        """
        fields = [field.alias or name for name, field in model.model_fields.items()]
        allowed = [*settled, *(name for name in fields if name not in given)]
        values = self._value(where)
        for key in values:
            if key not in allowed:
                self.fail((*where, key), f"is unknown; allowed here: {', '.join(allowed)}")
        try:
            return model(**{k: v for k, v in values.items() if k not in settled}, **given)
        except ValidationError as error:
            first = error.errors()[0]
            self.fail((*where, *first["loc"]), _problem(first))

    def choice(self, allowed: Collection[str], *where: str) -> str:
        """Read a value that must be one of the allowed ones.

        Raises:
            ConfigError: the value is not allowed, or is missing.
        """
        value = self._value(where)
        if not isinstance(value, str) or value not in allowed:
            names = ", ".join(map(repr, allowed)) or "nothing (none is defined)"
            self.fail(where, f"is {shown(value)}; allowed: {names}")
        return value

    def _value(self, where: tuple[str, ...]) -> Any:
        value = self.values
        for key in where:
            if key not in value:
                self.fail(where, "is missing")
            value = value[key]
        return value

    def _plain(self, node: yaml.Node, where: tuple[str, ...]) -> Any:
        """The value of a node, as `yaml.safe_load` gives it; the lines of its keys are kept."""
        if not isinstance(node, yaml.MappingNode):
            try:
                value = yaml.SafeLoader("").construct_document(node)
                if isinstance(value, str):
                    value.encode()  # fails for half a character, as in "\ud800"
            except Exception as error:  # PyYAML raises whatever goes wrong inside
                self.fail(where, f"is not a plain value: {_short(str(error))}")
            return value
        values = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else "a list or mapping"
            here = (*where, name)
            is_double = here in self.lines
            self.lines[here] = key.start_mark.line + 1
            if is_double:
                self.fail(here, "appears twice")
            if not name.isprintable():
                self.fail(here, "has characters that cannot be printed")
            values[name] = self._plain(value, here)
        return values


def shown(value: Any) -> str:
    """Shorten a value for a message."""
    try:
        return _short(repr(value))
    except ValueError:  # Python does not print integers with thousands of digits
        return "a number with thousands of digits"


def _problem(error: dict[str, Any]) -> str:
    """Put what pydantic found into the words of a config."""
    if error["type"] == "must":  # see pruning.fields
        return error["msg"]
    if error["type"] == "missing":
        return "is missing"
    if error["type"] == "dict_type":
        return "must be a mapping of keys to values"
    allowed = error.get("ctx", {}).get("expected")
    return f"is {shown(error['input'])}; " + (f"allowed: {allowed}" if allowed else error["msg"])


def _short(text: str, length: int = 200) -> str:
    return text if len(text) <= length else f"{text[:length]}..."


class _Loader(yaml.SafeLoader):
    """A loader that refuses aliases, a few lines of which can stand for gigabytes."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(
                problem="aliases are not allowed: write the value out", problem_mark=mark
            )
        return super().compose_node(parent, index)
