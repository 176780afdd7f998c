"""What a command says when it cannot do what was asked: one line on standard error and an exit status, no traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

EXIT_FAILURE = 1
EXIT_USAGE = 2


@contextmanager
def reported() -> Iterator[None]:
    """Turn the errors that callers can do something about into a message; ours stay tracebacks.

    Raises:
        typer.Exit: 2 for a mistake in the options, 1 for anything else that was refused.
    """
    from univs_service.cli.prompt_options import PromptSyntaxError
    from univs_service.client import ClientError
    from univs_service.errors import ServiceError
    from univs_service.exports import ExportError

    try:
        yield
    except PromptSyntaxError as error:
        _say(error)
        raise typer.Exit(EXIT_USAGE) from error
    except (ClientError, ServiceError, ExportError, OSError) as error:
        _say(error)
        raise typer.Exit(EXIT_FAILURE) from error
    except Exception as error:
        if not _is_of_univs(error):
            raise
        _say(error)
        raise typer.Exit(EXIT_FAILURE) from error


def _is_of_univs(error: Exception) -> bool:
    """Whether `univs` raised it on purpose; asked only once something failed, so that torch is loaded already."""
    import sys

    errors = sys.modules.get("univs.errors")
    return errors is not None and isinstance(error, errors.UniVSError)


def _say(error: Exception) -> None:
    typer.secho(f"univs: {error}", fg=typer.colors.RED, err=True)
