"""Comparisons of all tests in one table, and no excuse for missing fixtures when they are required (`make parity`)."""

from collections.abc import Callable, Iterator

import pytest
from tests.model.parity.fixtures import FOLDER, IS_REQUIRED, REPOSITORY
from tests.model.parity.report import Comparison, table, take

_PROPERTY = "parity"
# Inputs, compared with nothing by themselves.
_INPUTS = ("e2e_frames", "e2e_vos_prompts")
_compared: list[Comparison] = []


@pytest.fixture(autouse=True)
def comparisons(record_property: Callable[[str, object], None]) -> Iterator[None]:
    if IS_REQUIRED and not FOLDER.is_dir():
        pytest.fail(f"expected the parity fixtures at {FOLDER}, found no such folder; put them there", pytrace=False)
    take()
    yield
    for comparison in take():
        record_property(_PROPERTY, comparison.to_text())


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "teardown":
        _compared.extend(Comparison.from_text(str(text)) for name, text in report.user_properties if name == _PROPERTY)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not IS_REQUIRED or not _compared:
        return
    names = {path.stem for path in FOLDER.glob("*.safetensors")}.difference(_INPUTS)
    text = table(_compared, names)
    path = REPOSITORY / "build" / "parity.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    terminalreporter.section("parity with the published network")
    terminalreporter.write(text)
    terminalreporter.write_line(f"written to {path}")
