#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A file of devices for weir device import: fleet_file.py N [--format csv|jsonl]
[--class C] [--prefix P] [--seed S] > FILE

Each device has an ICCID, an IMSI, an IMEI, an attribute and one credential,
whose fingerprint and key are random as SHA-256 is. Devices are P-0000000 and
so on; the same arguments give the same file. Imported by tests:
devices(n, …) yields the rows.
"""

import argparse
import csv
import json
import random
import sys

ISSUED_S = 1_700_000_000
UNTIL_S = ISSUED_S + 3650 * 86400


def luhn(digits):
    total = 0
    for i, d in enumerate(reversed(digits)):
        x = int(d) * (2 if i % 2 == 0 else 1)
        total += x - 9 if x > 9 else x
    return digits + str(-total % 10)


def devices(n, class_name="meter", prefix="dev", seed=1):
    rng = random.Random(seed)
    for i in range(n):
        yield {
            "id": f"{prefix}-{i:07d}", "class": class_name, "mode": "enforce",
            "status": "active",
            "iccid": luhn(f"89441{i:013d}"), "imsi": f"23415{i:010d}",
            "imei": luhn(f"35{i:012d}"),
            "attrs": {"site": f"site-{i % 1000}"},
            "credentials": [{
                "fingerprint": f"{rng.getrandbits(256):064x}",
                "spki": f"{rng.getrandbits(256):064x}",
                "serial": f"{rng.getrandbits(128):032X}",
                "issuer": "CN=Weir fleet CA,O=Weir fleet",
                "not_before_s": ISSUED_S, "not_after_s": UNTIL_S,
                "status": "active", "revoked_s": None, "reason": None}]}


def write_jsonl(rows, out):
    for row in rows:
        out.write(json.dumps(row, separators=(",", ":")) + "\n")


def write_csv(rows, out):
    names = ("id", "class", "mode", "status", "iccid", "imsi", "imei")
    w = csv.writer(out, lineterminator="\n")
    w.writerow((*names, "attr.site", "credentials"))
    for row in rows:
        w.writerow((*(row[x] for x in names), row["attrs"]["site"],
                    json.dumps(row["credentials"], separators=(",", ":"))))


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    p.add_argument("n", type=int)
    p.add_argument("--format", choices=("csv", "jsonl"), default="jsonl")
    p.add_argument("--class", dest="class_name", default="meter")
    p.add_argument("--prefix", default="dev")
    p.add_argument("--seed", type=int, default=1)
    a = p.parse_args()
    rows = devices(a.n, a.class_name, a.prefix, a.seed)
    (write_csv if a.format == "csv" else write_jsonl)(rows, sys.stdout)


if __name__ == "__main__":
    main()
