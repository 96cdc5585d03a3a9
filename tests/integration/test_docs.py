# SPDX-License-Identifier: Apache-2.0
"""
Scenario: somebody reads docs/THREATS.md and looks for the test that proves a
line of it.

Question: does every test that it names exist?

Expected: yes; and so does every file that a page links, where it is read: here,
and where `cmake --install` puts it. A token is never in a file that all can
read, and the plugin always where the installation puts it.
"""

import pathlib
import re
import subprocess

import pytest

from harness import BUILD

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


def links(page):
    """The files that it links."""
    return [page.parent / x for x in re.findall(
        r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()) if "://" not in x]


PAGES = [REPO / x for x in subprocess.run(
    ["git", "-c", f"safe.directory={REPO}", "ls-files", "*.md"], cwd=REPO,
    check=True, capture_output=True, text=True).stdout.split()]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(REPO)))
def test_links(page):
    assert [x for x in links(page) if not x.exists()] == []


def test_links_where_it_is_installed(tmp_path):
    subprocess.run(["cmake", "--install", BUILD, "--prefix", tmp_path],
                   check=True, capture_output=True, timeout=60)
    pages = list((tmp_path / "share" / "doc" / "weir").rglob("*.md"))
    assert {"OPERATIONS.md", "CLI.md", "README.md"} <= {p.name for p in pages}
    assert [x for p in pages for x in links(p) if not x.exists()] == []
    plugin = tmp_path / "lib" / "mosquitto_weir.so"
    assert plugin.is_file()
    named = [x for p in (*PAGES, *(REPO / "broker-conf").rglob("*.conf"))
             for x in re.findall(r"^ *plugin (\S+)", p.read_text(), re.M)]
    assert len(named) >= 2 and set(named) == {
        "/usr/local/lib/mosquitto_weir.so"}


def test_a_token_is_written_for_its_reader_alone():
    written = [
        x for p in (*PAGES, *(REPO / "broker-conf").rglob("*.yml"))
        for x in p.read_text().splitlines()
        if re.search(r"weir token add [a-z].*[>|]", x)]
    assert len(written) >= 4
    for line in written:
        assert re.search(r"\| install (-o \w+ )?-m [46]00 /dev/stdin", line), \
            line


def test_every_key_of_the_feed_is_explained():
    page = (REPO / "docs" / "FEED.md").read_text()
    table = page[page.index("## Configure it"):page.index("## Who may ask")]
    keys = re.findall(r'\.key = "(\w+)"',
                      (REPO / "feed" / "config_json.c").read_text())
    assert len(keys) > 20
    for key in keys:
        assert re.search(rf"[`.]{key}[`.]", table), key
