"""Pieces of the OpenAPI document that the routes share."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI

from univs_service.messages import Problem, SessionIn, VideoIn

_PROBLEM: Final[dict[str, Any]] = {  # Any: fragments of an OpenAPI document, as FastAPI takes them
    "description": "What was expected, what came and what to do (RFC 9457)",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {"4XX": _PROBLEM, "5XX": _PROBLEM}


def form_content(properties: Mapping[str, object], required: Sequence[str]) -> dict[str, Any]:
    """Describe the parts of a form."""
    schema = {"type": "object", "properties": dict(properties), "required": list(required)}
    return {"multipart/form-data": {"schema": schema}}


def add_schemas(app: FastAPI) -> None:
    """Add the models that routes name only by reference to the document."""
    make_document = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            schemas = make_document().setdefault("components", {}).setdefault("schemas", {})
            for model in (Problem, SessionIn, VideoIn):
                schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
                schemas.update(schema.pop("$defs", {}))
                schemas[model.__name__] = schema
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # the way FastAPI documents
