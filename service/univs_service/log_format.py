"""The choice of log lines, apart from `logs`: the command line then needs no logging library to show help."""

from enum import StrEnum


class LogFormat(StrEnum):
    """How a line of the log looks."""

    AUTO = "auto"  # console on a terminal, JSON elsewhere
    CONSOLE = "console"
    JSON = "json"
