# SPDX-License-Identifier: Apache-2.0
"""
Scenario: somebody reads docs/THREATS.md and looks for the test that proves a
line of it.

Question: does every test that it names exist?

Expected: yes; and so does every file that README.md and CONTRIBUTING.md link.
"""

import pathlib
import re

import pytest

REPO = pathlib.Path(__file__).resolve().parents[2]
THREATS = (REPO / "docs" / "THREATS.md").read_text()


def named_tests():
    """(file, test) as THREATS.md names them; test is None for a whole file."""
    last = None
    for file, test in re.findall(
            r"`(test_\w+\.(?:py|c))?(?:::(\w+))?`", THREATS):
        if not file and not test:
            continue
        last = file or last
        yield last, test or None


def test_threats_names_tests():
    assert len(list(named_tests())) >= 30


@pytest.mark.parametrize("file,test", sorted(set(named_tests()), key=str))
def test_named_test_exists(file, test):
    kind = "integration" if file.endswith(".py") else "unit"
    path = REPO / "tests" / kind / file
    assert path.is_file()
    if test:
        assert re.search(rf"\b{test}\(", path.read_text()), test


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links(page):
    for target in re.findall(r"\]\(([^)#]+)\)", (REPO / page).read_text()):
        if "://" not in target:
            assert (REPO / target).exists(), target


def test_every_key_of_the_feed_is_explained():
    page = (REPO / "docs" / "FEED.md").read_text()
    table = page[page.index("## Configure it"):page.index("## Who may ask")]
    keys = re.findall(r'\.key = "(\w+)"',
                      (REPO / "feed" / "config_json.c").read_text())
    assert len(keys) > 20
    for key in keys:
        assert re.search(rf"[`.]{key}[`.]", table), key
