"""What several commands share: settings with what the command line says on top."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from univs_service.settings import Settings

EXIT_CONFIGURATION = 78  # EX_CONFIG of sysexits.h: starting again with the same settings would not help


def overridden(**options: str | int | Path | None) -> "Settings":
    """Read the settings from the environment and put the options that were given on top.

    Raises:
        typer.Exit: after a line on standard error for each wrong setting.
    """
    from pydantic import ValidationError

    from univs_service.settings import Settings

    given = {name: value for name, value in options.items() if value is not None}
    try:
        return Settings.model_validate(Settings().model_dump(exclude_unset=True) | given)
    except ValidationError as error:
        for wrong in error.errors():
            name = ".".join(str(part) for part in wrong["loc"])
            typer.secho(
                f"setting {name} (UNIVS_{name.upper()}): {wrong['msg']}, got {wrong['input']!r}",
                fg=typer.colors.RED,
                err=True,
            )
        raise typer.Exit(EXIT_CONFIGURATION) from error
