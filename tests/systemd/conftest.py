# SPDX-License-Identifier: Apache-2.0
"""The machine that the tests of this folder share, and what they measured."""

import pathlib
import sys

import pytest

sys.path.insert(
    0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

# pylint: disable=wrong-import-position
import guide
import machine as machines

MEASURED = pytest.StashKey()


@pytest.fixture(scope="session")
def machine():
    with machines.Machine() as m:
        guide.as_the_page_says(m)
        yield m


@pytest.fixture
def measured(request):
    """Tells a number below the tests' results: measured(what, value)."""
    return request.config.stash.setdefault(MEASURED, {}).__setitem__


def pytest_terminal_summary(terminalreporter, config):
    for what, value in config.stash.get(MEASURED, {}).items():
        terminalreporter.write_line(f"{what}: {value}")
