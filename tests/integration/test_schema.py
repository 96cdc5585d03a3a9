# SPDX-License-Identifier: Apache-2.0
"""Scenario: an operator's editor checks a policy against the JSON Schema.

Question: does broker-conf/policy.schema.json say what Weir's own reader says?
Expected: it is a valid schema; it accepts every example policy and every ok-*
file of tests/table/policy; it refuses every key-* file there, whose faults are
keys and values. (scan-* files are faults of the text, rule-* files faults of
topics: beyond a schema. That schema and reader have the same keys is
tests/unit/test_policy_json.c's business.)
"""

import json
import pathlib

import jsonschema
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLE = ROOT / "tests" / "table" / "policy"
SCHEMA = json.loads((ROOT / "broker-conf" / "policy.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

ACCEPTED = sorted(ROOT.glob("examples/**/policy*.json")) + sorted(
    TABLE.glob("ok-*.json")
)
REFUSED = sorted(TABLE.glob("key-*.json"))


def name(path):
    return str(path.relative_to(ROOT))


def test_schema_is_valid():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert len(ACCEPTED) >= 3
    assert len(REFUSED) >= 30


@pytest.mark.parametrize("path", ACCEPTED, ids=name)
def test_accepts(path):
    errors = [e.message for e in VALIDATOR.iter_errors(json.loads(path.read_text()))]
    assert errors == []


@pytest.mark.parametrize("path", REFUSED, ids=name)
def test_refuses(path):
    assert not VALIDATOR.is_valid(json.loads(path.read_text()))
