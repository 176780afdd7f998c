"""How every process of the service writes its log: one event a line, on standard error."""

import logging
import sys

import structlog

from univs_service.log_format import LogFormat

# Their request and connection lines say nothing that ours do not.
_QUIET_LOGGERS = ("httpx", "httpcore", "uvicorn.access", "uvicorn.error", "websockets")


def configure_logs(process: str, level: str = "INFO", log_format: LogFormat = LogFormat.AUTO) -> None:
    """Send the standard library's log through one formatter; `extra={...}` becomes fields of the event.

    Args:
        process: name of this process, a field of every JSON line.
        level: least level that is written ("DEBUG", "INFO", ...).
        log_format: how a line looks.
    """
    is_console = log_format is LogFormat.CONSOLE or (log_format is LogFormat.AUTO and sys.stderr.isatty())

    def add_process(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["process"] = process
        return event

    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if is_console:
        renderer: list[structlog.typing.Processor] = [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
        ]
    else:
        renderer = [
            add_process,
            structlog.processors.dict_tracebacks,
            structlog.processors.JSONRenderer(),
        ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    logging.captureWarnings(True)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
