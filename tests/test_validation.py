"""Reading tables that people write: which key is wrong, and what was probably meant."""

from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from redeg_cli.errors import RecipeError
from redeg_cli.validation import did_you_mean, explain, read_toml


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    pages: int = 1


class Table(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sigma: Annotated[float, Field(ge=0)]
    size: int = 3
    inner: Inner = Inner()
    rows: tuple[Inner, ...] = ()

    @field_validator("size")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError(f"must be odd, got {value}")
        return value

    @model_validator(mode="after")
    def _small(self) -> "Table":
        if self.sigma > self.size:
            raise ValueError("sigma is above the size")
        return self


def explained(table: dict[str, Any], *more: str) -> str:
    with pytest.raises(ValidationError) as caught:
        Table.model_validate(table)
    return explain(caught.value, Table, more)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"sigma": -1}, "'sigma': Input should be greater than or equal to 0, got -1"),
        ({"sigma": "x"}, "'sigma': Input should be a valid number, unable to parse"),
        ({}, "'sigma': Field required"),
        ({"sigma": 1, "sise": 3}, "unknown key 'sise' (did you mean 'size'?)"),
        ({"sigma": 1, "zzz": 3}, "unknown key 'zzz'"),
        ({"sigma": 1, "inner": {"pages": "x"}}, "'inner.pages': Input should be a valid integer"),
        ({"sigma": 1, "rows": [{}, {"pages": "x"}]}, "'rows.1.pages': Input should be a valid"),
        ({"sigma": 1, "inner": {"size": 3}}, "'inner.size' is a key of another table"),
        ({"sigma": 1, "size": 4}, "'size': must be odd, got 4"),
        ({"sigma": 9}, "sigma is above the size"),
    ],
)
def test_the_first_fault_is_named(table: dict[str, Any], message: str) -> None:
    said = explained(table)
    assert said.startswith(message)
    assert said == message or "unable to parse" in said


def test_keys_of_nested_tables_are_candidates_where_they_are_given() -> None:
    assert explained({"sigma": 1, "inner": {"page": 3}}) == "unknown key 'inner.page'"
    assert explained({"sigma": 1, "inner": {"page": 3}}, "pages") == (
        "unknown key 'inner.page' (did you mean 'pages'?)"
    )


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("bsrgn", " (did you mean 'bsrgan'?)"),
        ("real_esrgan", " (did you mean 'real-esrgan'?)"),
        ("watercolour", ""),
        (17, ""),
        (None, ""),
        (["bsrgan"], " (did you mean 'bsrgan'?)"),
    ],
)
def test_the_nearest_name_is_offered_if_there_is_one(name: object, hint: str) -> None:
    assert did_you_mean(name, ["bsrgan", "real-esrgan", "halftone"]) == hint
    assert did_you_mean(name, []) == ""


def test_a_toml_file_becomes_its_tables(tmp_path: Path) -> None:
    path = tmp_path / "chain.toml"
    path.write_text("description = 'Bücher'\n[[steps]]\nop = 'jpeg'\n", encoding="utf-8")
    assert read_toml(path) == {"description": "Bücher", "steps": [{"op": "jpeg"}]}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_toml_file_that_windows_wrote(tmp_path: Path, encoding: str) -> None:
    """Editors put a mark first, PowerShell's > writes two bytes a letter."""
    path = tmp_path / "chain.toml"
    path.write_bytes("description = 'Bücher'\r\nsteps = []\r\n".encode(encoding))
    assert read_toml(path) == {"description": "Bücher", "steps": []}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"steps = [", "cannot be read as TOML"),
        (b"a = 1\na = 2\n", "cannot be read as TOML"),
        (b"name = '\xff'", "cannot be read as TOML"),
    ],
)
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=words) as caught:
        read_toml(path)
    assert str(caught.value).startswith(str(path))


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"nothing\.toml does not exist"):
        read_toml(tmp_path / "nothing.toml")
    with pytest.raises(RecipeError, match="cannot be read as TOML"):
        read_toml(tmp_path)
