"""Every failure as application/problem+json (RFC 9457), and a page for each problem type."""

import logging
from collections.abc import Mapping, Sequence

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response

from univs_service.errors import (
    BadRequestError,
    InternalError,
    InvalidInputError,
    MethodNotAllowedError,
    NotFoundError,
    ServiceError,
    StoreUnavailableError,
    TooLargeError,
    every_error,
)
from univs_service.gateway.openapi import PROBLEMS
from univs_service.gateway.state import gateway_of
from univs_service.messages import FieldError

MEDIA_TYPE = "application/problem+json"
_MAX_FIELD_ERRORS = 20
_logger = logging.getLogger(__name__)
router = APIRouter(tags=["service"], responses=PROBLEMS)


def problem_response(error: ServiceError, instance: str, headers: Mapping[str, str] | None = None) -> Response:
    """Make the answer for an error."""
    problem = error.to_problem(instance)
    headers = dict(headers or {})
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    return Response(problem.model_dump_json(), problem.status, headers, MEDIA_TYPE)


def invalid_input(error: ValidationError | RequestValidationError, what: str) -> InvalidInputError:
    """Turn pydantic's list of errors into ours."""
    fields = field_errors(error.errors())
    more = f" (and {len(fields) - 1} more)" if len(fields) > 1 else ""
    where = ".".join(str(step) for step in fields[0].loc) or what
    return InvalidInputError(
        f"expected {what} as `/docs` describes it, got a wrong value at {where}: {fields[0].msg}{more}; "
        "correct the fields named in `errors`",
        errors=fields[:_MAX_FIELD_ERRORS],
    )


def field_errors(errors: Sequence[object]) -> list[FieldError]:
    """Keep where and what of pydantic's errors; the input itself is not echoed."""
    return [FieldError(loc=list(error["loc"]), msg=str(error["msg"])) for error in errors if isinstance(error, dict)]


def add_problem_handlers(app: FastAPI) -> None:
    """Answer every exception with a problem."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(ClientDisconnect, _client_gone)
    app.add_exception_handler(Exception, _unexpected)
    app.include_router(router)


async def _service_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    if isinstance(error, StoreUnavailableError):
        gateway_of(request).metrics.store_errors.inc()
        _logger.warning("store unavailable", extra={"path": request.url.path, "detail": error.detail})
    return problem_response(error, request.url.path)


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    is_syntax = any(entry.get("type") == "json_invalid" for entry in error.errors())
    if is_syntax:
        fields = field_errors(error.errors())
        refusal: ServiceError = BadRequestError(
            f"expected a JSON body, got text that is none: {fields[0].msg}; check its syntax", errors=fields
        )
    else:
        refusal = invalid_input(error, "a request")
    return problem_response(refusal, request.url.path)


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path, method = request.url.path, request.method
    match error.status_code:
        case 404:
            refusal: ServiceError = NotFoundError(f"expected an address of this service, got {path}; see /docs")
        case 405:
            refusal = MethodNotAllowedError(
                f"expected another method at {path}, got {method}; the `Allow` header lists those it takes"
            )
        case 413:
            refusal = TooLargeError(str(error.detail))
        case status if status < 500:
            refusal = BadRequestError(f"expected a request as /docs describes it, got: {error.detail}")
        case _:
            refusal = InternalError(f"expected to answer {method} {path}, but: {error.detail}; try again")
    return problem_response(refusal, path, error.headers)


async def _client_gone(request: Request, error: Exception) -> Response:
    _logger.info("client left during its request", extra={"path": request.url.path, "detail": str(error)})
    return problem_response(BadRequestError("expected the rest of the request, but the connection closed"), "")


async def _unexpected(request: Request, error: Exception) -> Response:
    _logger.error("request failed", exc_info=error, extra={"path": request.url.path})
    return problem_response(
        InternalError("expected to answer the request, but the service failed; see its log, or try again"),
        request.url.path,
    )


@router.get("/problems/{code}", response_class=PlainTextResponse)
async def explain(code: str) -> PlainTextResponse:
    """Explain a problem type; `type` in every problem leads here."""
    for error in every_error():
        if error.code == code:
            return PlainTextResponse(f"{error.title} ({error.status} {error.code})\n\n{error.__doc__}\n")
    raise NotFoundError(f"expected the code of a problem, got {code!r}")
