# SPDX-License-Identifier: Apache-2.0
"""
Scenario: weir-feed, run as the user weir-feed beside a fleet, is asked and
abused over HTTP. Question: does it answer what it is asked, refuse what it must
with words that say why, and stay up? Expected: yes.
"""


def test_health(feed):
    got = feed.get("/api/v1/health")
    assert got.status == 200
    told = got.json()
    assert told["status"] == "ok"
    assert told["broker"]["state"] == "never_ran"


def test_unknown_path(feed):
    got = feed.get("/api/v1/nothing")
    assert got.status == 404
    assert "docs/FEED.md" in got.detail()
