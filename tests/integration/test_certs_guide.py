# SPDX-License-Identifier: Apache-2.0
"""
Scenario: a device maker follows certs/README.md.

Question: do the commands that it prints, as it prints them, bring a
certificate onto a device that a real broker then admits?

Expected: each of the five ways does: every command succeeds, and afterwards
the device's certificate is the one it has connected by.
"""

import os
import pathlib
import re
import subprocess

import pytest

from cli_support import openssl
from harness import BUILD, REPO, Broker, Fleet
from softhsm import PIN, Token

GUIDE = (REPO / "certs" / "README.md").read_text()
POLICY = {"version": 1,
          "classes": {"pump": {"publish": ["pump/${device}/state"]}}}


def ways():
    """(number, its commands) of each numbered section."""
    for number, body in re.findall(r"^## (\d)\. .*?\n(.*?)(?=^## )", GUIDE,
                                   re.M | re.S):
        yield number, "".join(re.findall(r"^    (.*\n)", body, re.M))


def test_there_are_five():
    assert [n for n, _ in ways()] == list("12345")
    for n, script in ways():
        assert "weir device add" in script and '"$HOST' in script, n


class Maker:
    """A device maker's machine, a broker, and the shell to type into."""

    def __init__(self, tmp_path):
        self.dir = tmp_path
        self.device = tmp_path / "device"
        self.device.mkdir()
        self.token = Token(tmp_path / "sim")
        self.token.make_key("iot-safe")
        # OpenSSL's engine takes a line's end for part of the PIN.
        self.token.pin.write_text(PIN)
        self.fleet = Fleet(POLICY)
        self.vendor()
        self.broker = Broker(self.fleet, cafile=self.dir / "trusted.crt")
        self.broker.start()

    def vendor(self):
        """What a vendor delivers: its CA's certificate, a module, and the
        module's IDevID."""
        conf = self.dir / "vendor.cnf"
        conf.write_text(
            "keyUsage=critical,digitalSignature\n"
            "subjectAltName=critical,otherName:1.3.6.1.5.5.7.8.4;SEQ:hw\n"
            "[hw]\ntype=OID:1.3.6.1.4.1.32473.7\n"
            "serial=FORMAT:ASCII,OCT:SN-4711\n")
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
               "-nodes", "-keyout")
        openssl("req", "-x509", *key, self.dir / "vendor.key", "-out",
                self.dir / "vendor.crt", "-subj", "/O=Vendor/CN=Vendor CA",
                "-addext", "keyUsage=critical,keyCertSign")
        openssl("req", "-new", *key, self.device / "idevid.key", "-out",
                self.dir / "idevid.csr", "-subj", "/O=Vendor/serialNumber=SN-1")
        openssl("x509", "-req", "-in", self.dir / "idevid.csr", "-CA",
                self.dir / "vendor.crt", "-CAkey", self.dir / "vendor.key",
                "-CAcreateserial", "-days", "2900000", "-extfile", conf,
                "-out", self.device / "idevid.crt")
        (self.device / "ca.crt").write_bytes(
            (self.fleet.ca / "ca.crt").read_bytes())
        (self.dir / "trusted.crt").write_bytes(
            (self.fleet.ca / "ca.crt").read_bytes()
            + (self.dir / "vendor.crt").read_bytes())

    def shell(self, script):
        env = dict(os.environ, WEIR_STATE=str(self.fleet.state),
                   WEIR_CA=str(self.fleet.ca), HOME=str(self.dir),
                   DEVICE=str(self.device),
                   HOST="localhost", PORT=str(self.broker.port),
                   SIM_KEY=self.token.uri("iot-safe").split("&")[0],
                   SOFTHSM2_CONF=str(self.token.conf),
                   PATH=f"{BUILD / 'bin'}:{os.environ['PATH']}")
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], env=env, cwd=self.dir,
            capture_output=True, text=True, timeout=60, check=False)

    def close(self):
        self.broker.close()
        self.fleet.remove()


@pytest.fixture
def maker(tmp_path, closing):
    return closing(Maker(tmp_path))


@pytest.mark.parametrize("number,script", ways(), ids=lambda x: x[:1])
def test_way(maker, number, script):
    done = maker.shell(script)
    assert done.returncode == 0, (script, done.stdout, done.stderr)
    assert "Not authorized" not in done.stdout + done.stderr
    if number == "4":
        assert done.stdout.endswith(" 20 02 00 00\n"), done
    device = f"pump-{number}"
    f = maker.fleet
    assert len(f.weir("--json", "cert", "list", device).splitlines()) == 1
    assert f.weir("cert", "list", device, "--unused") == ""
    assert not maker.broker.logged("refused")
    # No key is left behind but on the device.
    assert not list((maker.dir / "new").glob("*.key")) if number in "13" else (
        not (maker.dir / "new").exists())


def test_thousands_at_once(maker):
    body, = re.findall(r"^## Thousands at once\n(.*?)(?=^## )", GUIDE,
                       re.M | re.S)
    done = maker.shell("".join(re.findall(r"^    (.*\n)", body, re.M)))
    assert done.returncode == 0, (done.stdout, done.stderr)
    f = maker.fleet
    assert f.weir("cert", "list", "pump-8", "--unused") == ""
    for device in ("pump-6", "pump-7", "pump-8", "pump-9"):
        assert len(f.weir("--json", "cert", "list",
                          device).splitlines()) == 1, device
    assert not maker.broker.logged("refused")


@pytest.mark.parametrize("without", ["weir cert issue", "cp "])
def test_a_step_left_out_is_noticed(maker, without):
    script = dict(ways())["1"]
    done = maker.shell("".join(x for x in script.splitlines(True)
                               if not x.startswith(without)))
    assert done.returncode != 0


def test_tables_and_rest():
    """What is not run is at least said as the command says it."""
    shown = subprocess.run([BUILD / "bin" / "weir", "help", "cert", "issue"],
                           capture_output=True, text=True, check=True).stdout
    for name in ("p256", "p384", "rsa2048", "rsa3072"):
        assert name in shown and f"`{name}`" in GUIDE
    for target in re.findall(r"docs/\w+\.md", GUIDE):
        assert pathlib.Path(REPO / target).is_file()
