"""A document held against a JSON schema: every fault at once, in words instead of in schema.

Where a schema allows one of several shapes, the fault is told of the shape that was meant: the one that the
discriminator names, or the one whose type fits. Formats are handed in by whoever knows them. Nothing here
knows where a value came from or whether it may be shown.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.validators import extend

from guard.faults import Format, Path, Problem
from guard.wording import describe, one_of, words

Schema: TypeAlias = dict[str, Any]

_BOUNDS = {
    "minimum": "a number of at least {}",
    "maximum": "a number of at most {}",
    "exclusiveMinimum": "a number above {}",
    "exclusiveMaximum": "a number below {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "minProperties": "at least {} keys",
    "maxProperties": "at most {} keys",
    "pattern": "text that matches {}",
    "uniqueItems": "each item once",
}
_COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")


def problems(value: object, schema: Schema, formats: Mapping[str, Format]) -> Iterator[Problem]:
    """What is wrong with a document, in the order of the schema."""
    checker = FormatChecker(formats=())
    for name, check in formats.items():
        checker.checks(name, raises=ValueError)(_text_only(check))
    validator = _choosing(definitions(schema))(schema, format_checker=checker)
    told: set[tuple[Path, str]] = set()
    for error in validator.iter_errors(value):
        for problem in _told(error, definitions(schema), formats):
            if (problem.path, problem.found) not in told:
                told.add((problem.path, problem.found))
                yield problem


def definitions(schema: Schema) -> dict[str, Schema]:
    named: dict[str, Schema] = schema.get("$defs", {})
    return named


def resolved(schema: Schema, named: Mapping[str, Schema]) -> Schema:
    """The schema itself, or what it refers to."""
    while "$ref" in schema:
        schema = named[schema["$ref"].rsplit("/", 1)[-1]]
    return schema


def meant(schema: Schema, value: object, named: Mapping[str, Schema]) -> list[Schema]:
    """Which alternatives of an `anyOf` a value was meant to be; empty where its type fits none."""
    if "discriminator" in schema and isinstance(value, dict):
        tag = value.get(schema["discriminator"]["propertyName"])
        reference = schema["discriminator"]["mapping"].get(tag) if isinstance(tag, str) else None
        return [{"$ref": reference}] if reference else []
    fitting: list[Schema] = []
    for branch in schema["anyOf"]:
        if "anyOf" in branch:
            fitting += meant(branch, value, named)
        elif _of_type(value, resolved(branch, named)):
            fitting.append(branch)
    return fitting


# JSON takes 5.0 for a whole number; the structs do not.
_TYPES = Draft202012Validator.TYPE_CHECKER.redefine(
    "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
)


def _of_type(value: object, schema: Schema) -> bool:
    if "type" not in schema:
        return value in schema["enum"] if "enum" in schema else True
    return bool(_TYPES.is_type(value, schema["type"]))


def _choosing(named: Mapping[str, Schema]) -> Any:
    """A validator whose `anyOf` tells the faults of the alternative that was meant."""

    def any_of(validator: Any, _: object, value: object, schema: Schema) -> Iterator[ValidationError]:
        branches = meant(schema, value, named)
        if not branches:
            yield ValidationError("fits no alternative", validator="anyOf", validator_value=schema["anyOf"])
        elif not any(validator.evolve(schema=branch).is_valid(value) for branch in branches):
            yield from validator.descend(value, branches[0])

    return extend(Draft202012Validator, {"anyOf": any_of}, type_checker=_TYPES)  # type: ignore[no-untyped-call]


def _text_only(check: Format) -> Callable[[object], bool]:
    def passes(value: object) -> bool:
        if isinstance(value, str):
            check(value)
        return True

    return passes


def _told(error: ValidationError, named: dict[str, Schema], formats: Mapping[str, Format]) -> Iterator[Problem]:
    path: Path = tuple(error.absolute_path)
    value: Any = error.instance
    schema: Schema = error.schema if isinstance(error.schema, dict) else {}
    match error.validator:
        case "additionalProperties":
            for key in value:
                if key not in schema["properties"]:
                    yield Problem((*path, key), "an unknown key", one_of(schema["properties"], near=key))
        case "required":
            for key in schema["required"]:
                if key not in value:
                    yield Problem((*path, key), "nothing", f"{words(schema['properties'][key], named)} (required)")
        case "anyOf":
            yield _no_alternative(path, value, schema, named)
        case "type" | "enum":
            yield Problem(path, describe(value), _expected(value, schema, named, formats))
        case "format":
            yield Problem(path, describe(value), str(error.cause))
        case name:
            bound = error.validator_value
            expected = _BOUNDS.get(str(name), f"what {name} {{}} allows").format(_literal(bound))
            if name == "pattern" and "description" in schema:
                expected += f" ({schema['description']})"
            elif bound == 1 and name in _COUNTS:
                expected = expected.removesuffix("s")
            key = "propertyNames" in error.absolute_schema_path
            yield Problem((*path, value) if key else path, "this key" if key else describe(value), expected)


def _no_alternative(path: Path, value: object, schema: Schema, named: dict[str, Schema]) -> Problem:
    if "discriminator" in schema and isinstance(value, dict):
        key = schema["discriminator"]["propertyName"]
        tag = value.get(key)
        near = tag if isinstance(tag, str) else None
        return Problem((*path, key), describe(tag), one_of(schema["discriminator"]["mapping"], near=near))
    return Problem(path, describe(value), _to_quote(value, words(schema, named)))


def _expected(value: object, schema: Schema, named: dict[str, Schema], formats: Mapping[str, Format]) -> str:
    if "enum" in schema:
        near = value if isinstance(value, str) else None
        return one_of(map(str, schema["enum"]), near=near)
    if schema.get("format") in formats and not isinstance(value, (list, dict)):
        try:
            formats[schema["format"]](str(value))
        except ValueError as error:
            return str(error)
    return _to_quote(value, words(schema, named))


def _to_quote(value: object, expected: str) -> str:
    return f"{expected} (put it in quotes)" if "text" in expected and isinstance(value, (int, float)) else expected


def _literal(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
