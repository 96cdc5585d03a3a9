# SPDX-License-Identifier: Apache-2.0
"""
Scenario: devices that have certificates of another CA already are registered by
their files.

Question: is each found under the id that its certificate states, and what is no
device's refused?

Expected: exit status 0 done, 2 what is in the files, 3 environment.
"""

import pytest

from cli_support import make, openssl, other, sound


@pytest.fixture
def weir(tmp_path):
    return make(tmp_path)


def elsewhere(folder, name, subject, *more):
    openssl("req", "-new", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-days", "10", "-keyout",
            folder / f"{name}.key", "-out", folder / f"{name}.crt", "-subj",
            subject, "-addext", "basicConstraints=critical,CA:FALSE", *more)


def test_cert_import(weir):
    have = weir.folder / "have"
    have.mkdir()
    elsewhere(have, "1", "/CN=dev-1/serialNumber=SN-1", "-addext",
              "subjectAltName=URI:urn:x:dev-1,"
              "URI:urn:gsma:imei:35663806-123451-0")
    elsewhere(have, "2", "/CN=dev-2/serialNumber=SN-2", "-addext",
              "subjectAltName=URI:https://x.example/d/dev-2")
    for id_from, ids in (("cn", ["dev-1", "dev-2"]),
                         ("serialnumber", ["SN-1", "SN-2"]),
                         ("san-uri", ["urn:x:dev-1", "dev-2"])):
        host = other(weir, id_from)
        args = ("cert", "import", have, "--id-from", id_from, "--class",
                "meter")
        assert host.json(*args)["added"] == 2
        assert sorted(x["device_id"] for x in host.lines("cert", "list")) == (
            sorted(ids))
        assert host.json(*args)["there_before"] == 2
        assert host.lines("audit", "list", "-n", "1")[0]["action"] == (
            "cert.import")
        sound(host)


def test_cert_import_refused(weir):
    have = weir.folder / "have"
    have.mkdir()
    args = ("--id-from", "cn", "--class", "meter")
    elsewhere(have, "1", "/CN=dev-1")
    elsewhere(have, "2", "/CN=no id")
    elsewhere(have, "3", "/O=none")
    elsewhere(have, "4", "/CN=server", "-addext", "extendedKeyUsage=serverAuth")
    (have / "5.pem").write_text("nothing")
    revision = weir.revision()
    text = weir.fails(2, "cert", "import", have, *args)
    for n, says in (("2.crt", "no device id"), ("3.crt", "no common name"),
                    ("4.crt", "clientAuth"), ("5.pem", "")):
        assert [x for x in text.splitlines() if n in x and says in x], text
    weir.fails(2, "cert", "import", have / "1.crt", "--id-from", "dn",
               "--class", "meter", says="--id-from")
    weir.fails(2, "cert", "import", have / "1.crt", "--id-from", "cn",
               says="--class")
    weir.fails(3, "cert", "import", have / "none", *args)
    weir.fails(2, "cert", "import", *args)
    assert weir.revision() == revision
    weir.ok("cert", "import", have / "1.crt", *args)
    weir.ok("cert", "revoke", "dev-1")
    weir.fails(2, "cert", "import", have / "1.crt", *args, says="stays so")
