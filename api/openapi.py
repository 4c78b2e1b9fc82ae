"""The OpenAPI document: FastAPI's own, with problems, events and the webhook added."""

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api import problems, webhooks
from shared.schemas import EVENTS

_REFERENCE: Final = "#/components/schemas/{model}"
#: FastAPI's own description of a parameter that is invalid; `api.problems` answers in its place.
_FASTAPIS_ERRORS: Final = ("HTTPValidationError", "ValidationError")


def install(app: FastAPI) -> None:
    """Make `app.openapi()` and `/openapi.json` return the whole document."""
    build = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = build()
            _add_schemas(document)
            _remove_fastapis_errors(document)
            document["webhooks"] = {webhooks.EVENT: {"post": webhooks.operation()}}
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def event_stream() -> dict[str, Any]:
    """Describe the content of a job's event stream: one schema for each event, selected by `event`."""
    names = {name: f"Sent{schema.__name__}" for name, schema in EVENTS.items()}
    return {
        "schema": {
            "title": "ServerSentEvent",
            "description": "One event of the stream. `data` is JSON whose schema depends on `event`.",
            "oneOf": [{"$ref": _REFERENCE.format(model=model)} for model in names.values()],
            "discriminator": {
                "propertyName": "event",
                "mapping": {name: _REFERENCE.format(model=model) for name, model in names.items()},
            },
        }
    }


def _sent_event(name: str, schema: type[BaseModel]) -> dict[str, Any]:
    return {
        "title": f"Sent{schema.__name__}",
        "type": "object",
        "description": (schema.__doc__ or "").strip(),
        "required": ["event", "data"],
        "properties": {
            "id": {"type": "string", "description": "The value for `Last-Event-ID`, to resume after this event."},
            "event": {"const": name},
            "data": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": {"$ref": _REFERENCE.format(model=schema.__name__)},
            },
        },
    }


def _add_schemas(document: dict[str, Any]) -> None:
    models: list[type[BaseModel]] = [problems.ProblemDetails, webhooks.JobEnded, *EVENTS.values()]
    _, found = models_json_schema([(model, "serialization") for model in models], ref_template=_REFERENCE)
    schemas: dict[str, Any] = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(found["$defs"])
    schemas.update({f"Sent{schema.__name__}": _sent_event(name, schema) for name, schema in EVENTS.items()})
    # Without these names, generators make long ones from the values.
    schemas["ProblemType"]["x-enum-varnames"] = [problem_type.name for problem_type in problems.ProblemType]
    for name in _FASTAPIS_ERRORS:
        schemas.pop(name, None)
    document["components"]["schemas"] = dict(sorted(schemas.items()))


def _remove_fastapis_errors(document: dict[str, Any]) -> None:
    for operation in _operations(document):
        content = operation["responses"].get("422", {}).get("content", {})
        if content.get("application/json", {}).get("schema", {}).get("$ref", "").endswith("/HTTPValidationError"):
            del operation["responses"]["422"]


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from (operation for operation in path.values() if isinstance(operation, dict))
