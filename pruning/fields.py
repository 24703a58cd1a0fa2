"""The values that a key of the config may hold, and a plain message for any other."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WrapValidator
from pydantic_core import PydanticCustomError

from pruning.yaml_lines import shown

LARGEST_NUMBER = 1_000_000


class Record(BaseModel):
    """A frozen model that refuses unknown fields and converts nothing: "1" is not a number."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


def must(words: str, show: Callable[[Any], str] = shown) -> WrapValidator:
    """Report that a value "must ..." if it does not pass, unless an inner check has said more."""

    def check(value, validate):
        try:
            return validate(value)
        except ValidationError as error:
            if error.errors()[0]["type"] == "must":
                raise
            told = {"value": show(value), "words": words}
            raise PydanticCustomError("must", "is {value}; it must {words}", told) from None

    return WrapValidator(check)


def number_must(words: str) -> WrapValidator:
    """Do the same for a number, shown without needless digits."""
    return must(words, "{:g}".format)


def _whole_number(minimum: int):
    words = f"be a whole number, {minimum} or more and at most {LARGEST_NUMBER:,}"
    return Annotated[int, Field(ge=minimum, le=LARGEST_NUMBER), must(words)]


def none_if_named(value: Any) -> Any:
    """Read 'None' in quotes, in upper or lower case, as no value, as the original did."""
    return None if isinstance(value, str) and value.lower() == "none" else value


def _path(value: Any) -> Any:
    return Path(value) if isinstance(value, str) and value and "\0" not in value else value


Count = _whole_number(0)
Positive = _whole_number(1)
Number = Annotated[
    float,
    Field(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER),
    must(f"be a number up to {LARGEST_NUMBER:,}"),
]
Share = Annotated[Number, Field(gt=0, lt=1), number_must("lie between 0 and 1, both excluded")]
Text = Annotated[str, Field(min_length=1), must("be a text in quotes")]
FilePath = Annotated[Path, BeforeValidator(_path), must("be a path in quotes")]
Version = Annotated[Number, Field(ge=1), number_must("be 1 or more")]
