"""What can go wrong in a client.

ClientError
    ProblemError            the service refused: carries its RFC 9457 problem
    ConnectionLostError     the service could not be reached again in the time allowed
    StreamClosedError       something was sent over a stream that has ended
"""

import httpx
from pydantic import ValidationError

from univs_service.messages import FieldError, Problem


class ClientError(Exception):
    """Base of what this package raises on purpose."""


class ConnectionLostError(ClientError):
    """The service cannot be reached; what has arrived is valid, and a new stream can go on after it."""


class StreamClosedError(ClientError):
    """The stream was closed, or has given its last event."""


class ProblemError(ClientError):
    """The service refused a request; the fields are those of its problem details (RFC 9457)."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.title}: {problem.detail} [{problem.code}, status {problem.status}]")
        self.problem = problem

    @property
    def code(self) -> str:
        """Machine-readable kind of the problem, such as `unknown_session`."""
        return self.problem.code

    @property
    def status(self) -> int:
        """HTTP status."""
        return self.problem.status

    @property
    def detail(self) -> str:
        """What was expected, what came, what to do."""
        return self.problem.detail

    @property
    def is_retryable(self) -> bool:
        """Whether the same request may succeed later."""
        return self.problem.retryable

    @property
    def errors(self) -> list[FieldError]:
        """Which fields were wrong."""
        return self.problem.errors


def problem_of(body: bytes, status: int, url: str) -> Problem:
    """Read a problem from a response's body; make one where something else on the way has answered."""
    try:
        return Problem.model_validate_json(body)
    except ValidationError:
        text = body[:200].decode("utf-8", errors="replace").strip()
        return Problem(
            type="about:blank",
            title="Unexpected answer",
            status=status,
            detail=f"expected problem details of a UniVS service at {url}, got {text or 'an empty body'!r}; "
            "check the URL and any proxy on the way",
            code="unexpected_answer",
            retryable=status >= 500,
        )


async def raise_for_problem(response: httpx.Response) -> None:
    """Raise `ProblemError` for a response that is no success."""
    if not response.is_success:
        body = await response.aread()
        raise ProblemError(problem_of(body, response.status_code, str(response.request.url)))
