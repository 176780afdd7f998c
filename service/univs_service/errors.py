"""Errors of the service, each with code, status and title; the docstrings are served at `/problems/<code>`.

ServiceError
  BadRequestError            400 bad_request           BadMessageError         400 bad_message
  ForbiddenOriginError       403 forbidden_origin
  ForbiddenInputError        403 forbidden_input
  NotFoundError              404 not_found             UnknownVideoError, UnknownFrameError,
                                                           UnknownSessionError, UnknownFormatError
  HelloTimeoutError          408 hello_timeout
  ConflictError              409 conflict              PromptConflictError, VideoInUseError,
                                                           FrameOutOfOrderError, NoResultsError,
                                                           SupersededError
  SessionEndedError          410 session_ended
  TooLargeError              413 too_large             UploadTooLargeError, PushedFrameTooLargeError
  NotAVideoError             415 not_a_video
  InvalidInputError          422 invalid_input         PromptOutOfRangeError, UnsupportedPromptError,
                                                       UnknownModelError, UnsupportedTaskError,
                                                       UnknownVocabularyError, TooManyError,
                                                       ObjectTakenError, NoFramesError,
                                                       DamagedVideoError, FrameSizeError, BadFrameError,
                                                       NotExportableError
  InternalError              500 internal
  InputUnavailableError      502 input_unavailable
  UnavailableError           503 unavailable           StoreUnavailableError, OverloadedError, NoWorkerError
  StorageFullError           507 storage_full
  LeaseLostError             (worker only) another worker owns the session
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from univs_service.messages import FieldError, Problem


class ServiceError(Exception):
    """Any error of the service. Its text says what was expected, what came, and what to do."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Error"
    is_retryable: ClassVar[bool] = False

    def __init__(self, detail: str, *, errors: Sequence[FieldError] = (), retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = list(errors)
        self.retry_after_s = retry_after_s

    def to_problem(self, instance: str | None = None) -> Problem:
        """Give the RFC 9457 object that travels over HTTP and the websocket."""
        return Problem(
            type=f"/problems/{self.code}",
            title=self.title,
            status=self.status,
            detail=self.detail,
            instance=instance,
            code=self.code,
            retryable=self.is_retryable,
            retry_after_ms=None if self.retry_after_s is None else round(1000 * self.retry_after_s),
            errors=self.errors,
        )


class BadRequestError(ServiceError):
    """The request cannot be read: its syntax is wrong. Send it again only after changing it."""

    code, status, title = "bad_request", 400, "The request cannot be read"


class BadMessageError(BadRequestError):
    """A websocket message cannot be read. The socket is closed with 4400; the session goes on."""

    code, title = "bad_message", "The message cannot be read"


class ForbiddenOriginError(ServiceError):
    """A web page of another origin tried to open a websocket. Allow it with UNIVS_ALLOWED_ORIGINS."""

    code, status, title = "forbidden_origin", 403, "This origin may not connect"


class ForbiddenInputError(ServiceError):
    """The service may not read from this address: its scheme, host, network or bucket is on no list of the operator.
    Upload the file instead.
    """

    code, status, title = "forbidden_input", 403, "The service may not read from there"


class NotFoundError(ServiceError):
    """Nothing is served under this address. `/docs` lists what is."""

    code, status, title = "not_found", 404, "Not found"


class UnknownVideoError(NotFoundError):
    """No video has this id: it was never uploaded here, or it was deleted."""

    code, title = "unknown_video", "No such video"


class UnknownFormatError(NotFoundError):
    """Results are not exported in a format of this name. `/v1/exports` lists those there are."""

    code, title = "unknown_format", "No such export format"


class UnknownFrameError(NotFoundError):
    """The video has no frame of this number. Frames count from 0 in the order they are shown."""

    code, title = "unknown_frame", "No such frame"


class UnknownSessionError(NotFoundError):
    """No session has this id: it never existed, or it ended and its results have expired."""

    code, title = "unknown_session", "No such session"


class MethodNotAllowedError(ServiceError):
    """The address exists but does not take this method. The `Allow` header lists those it takes."""

    code, status, title = "method_not_allowed", 405, "Method not allowed"


class HelloTimeoutError(ServiceError):
    """A websocket was opened and no `hello` followed in time. The socket is closed with 4408."""

    code, status, title = "hello_timeout", 408, "No hello in time"
    is_retryable = True


class ConflictError(ServiceError):
    """The request contradicts the state of what it addresses."""

    code, status, title = "conflict", 409, "Conflict"


class PromptConflictError(ConflictError):
    """A `prompt_id` was used for two different prompts. Repeats must be equal; new prompts need new ids."""

    code, title = "prompt_conflict", "Prompt id already used"


class VideoInUseError(ConflictError):
    """A video cannot be deleted while a session reads it. Close the session first."""

    code, title = "video_in_use", "The video is in use"


class NoResultsError(ConflictError):
    """A session can be exported once a frame of it has a result. Ask again a little later."""

    code, title = "no_results", "There are no results yet"
    is_retryable = True


class FrameOutOfOrderError(ConflictError):
    """Pushed frames count 0, 1, 2 and so on without holes. `ready.resend_from` says where to go on."""

    code, title = "frame_out_of_order", "Frame out of order"


class SupersededError(ConflictError):
    """A newer connection to the session was opened; this one is closed with 4409."""

    code, title = "superseded", "A newer connection took over"


class SessionEndedError(ServiceError):
    """The session has ended and takes no more commands. Its results can be read; start a new one for more."""

    code, status, title = "session_ended", 410, "The session has ended"


class TooLargeError(ServiceError):
    """What was sent is larger than the service takes. `/v1/limits` lists the limits."""

    code, status, title = "too_large", 413, "Too large"


class UploadTooLargeError(TooLargeError):
    """The uploaded file is larger than `max_upload_bytes`. Cut or compress the video."""

    code, title = "upload_too_large", "The upload is too large"


class PushedFrameTooLargeError(TooLargeError):
    """A pushed frame has more bytes than a frame of its session can need. It gets `frame.error`."""

    code, title = "frame_too_large", "The frame is too large"


class NotAVideoError(ServiceError):
    """The uploaded bytes are no video in a container and codec that the service reads."""

    code, status, title = "not_a_video", 415, "Not a video"


class InvalidInputError(ServiceError):
    """The request can be read, but its values are not usable. `errors` names the fields."""

    code, status, title = "invalid_input", 422, "Invalid input"


class PromptOutOfRangeError(InvalidInputError):
    """A prompt lies outside the frame or the video. Coordinates are pixels of the displayed frame."""

    code, title = "prompt_out_of_range", "The prompt lies outside the video"


class UnsupportedPromptError(InvalidInputError):
    """The loaded weights cannot serve this kind of prompt. `/v1/models` lists the kinds of each model."""

    code, title = "unsupported_prompt", "The model cannot serve this prompt"


class UnknownModelError(InvalidInputError):
    """No running worker offers weights of this name, or it could not load them. `/v1/models` lists those there are."""

    code, title = "unknown_model", "No such model"


class UnsupportedTaskError(InvalidInputError):
    """The loaded weights cannot serve this task. `/v1/models` lists the tasks of each model."""

    code, title = "unsupported_task", "The model cannot serve this task"


class UnknownVocabularyError(InvalidInputError):
    """No vocabulary has this name. `/v1/models` lists those there are; any list of names can be sent instead."""

    code, title = "unknown_vocabulary", "No such vocabulary"


class TooManyError(InvalidInputError):
    """A session takes only so many objects, prompts and categories. `/v1/limits` lists the limits."""

    code, title = "too_many", "Too many objects, prompts or categories"


class ObjectTakenError(InvalidInputError):
    """A prompt has the object id of an entity that the service found. Prompted objects need ids of their own."""

    code, title = "object_taken", "The object id is taken"


class NoFramesError(InvalidInputError):
    """The container holds a video stream with no frame in it."""

    code, title = "no_frames", "The video has no frames"


class DamagedVideoError(InvalidInputError):
    """The file looks like a video but cannot be decoded: it is truncated or damaged."""

    code, title = "damaged_video", "The video is damaged"


class FrameSizeError(InvalidInputError):
    """The frames are larger than `max_frame_pixels`. Scale the video down."""

    code, title = "frame_size", "The frames are too large"


class BadFrameError(InvalidInputError):
    """A pushed frame is damaged, or not of the encoding or size that was announced. It gets `frame.error`."""

    code, title = "bad_frame", "The pushed frame is not usable"


class NotExportableError(InvalidInputError):
    """This format has no room for these results: too large an object id, frames that are not kept. Choose another."""

    code, title = "not_exportable", "The format cannot hold these results"


class InternalError(ServiceError):
    """The service failed. The log has more; the request may succeed when sent again."""

    code, status, title = "internal", 500, "Internal error"


class InputUnavailableError(ServiceError):
    """What the service was asked to read elsewhere (a URL, a camera) cannot be had, or not in time."""

    code, status, title = "input_unavailable", 502, "The input cannot be read"
    is_retryable = True


class UnavailableError(ServiceError):
    """The service cannot answer at the moment. Try again after the time in `Retry-After`."""

    code, status, title = "unavailable", 503, "Unavailable"
    is_retryable = True


class StoreUnavailableError(UnavailableError):
    """Redis does not answer or does not take writes. The service recovers by itself when it is back."""

    code, title = "store_unavailable", "The store does not answer"


class OverloadedError(UnavailableError):
    """Too many sessions wait for a worker. Try again later or start more workers."""

    code, title = "overloaded", "Too many sessions are waiting"


class NoWorkerError(UnavailableError):
    """No worker is ready."""

    code, title = "no_worker", "No worker is ready"


class StorageFullError(ServiceError):
    """The disk has no room for the upload. Delete videos, or give the service more room."""

    code, status, title = "storage_full", 507, "The disk is full"
    is_retryable = True


class WorkerFailedError(ServiceError):
    """The session could not be finished: its worker failed again and again without a new result."""

    code, status, title = "worker_failed", 500, "The worker failed"


class LeaseLostError(ServiceError):
    """Another worker owns the session: drop it and write nothing more."""

    code, status, title = "lease_lost", 409, "The lease was lost"


def every_error() -> Iterator[type[ServiceError]]:
    """List every error that has a code of its own, parents before children."""
    waiting = [ServiceError]
    while waiting:
        error = waiting.pop()
        if "code" in vars(error) and error is not ServiceError:
            yield error
        waiting.extend(error.__subclasses__())
