"""What a test needs of the machine: on a developer's it may be missing, in CI it may not."""

import os
from typing import NoReturn

import pytest


def give_up_without(tool: str, remedy: str) -> NoReturn:
    """Skip the test that needs a tool which is not here; in CI, where `.ci/run` installs it, fail it."""
    text = f"needs {tool}, found none; {remedy}"
    if os.environ.get("CI"):
        pytest.fail(text)
    pytest.skip(text)
