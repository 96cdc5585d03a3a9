# SPDX-License-Identifier: Apache-2.0
"""
Scenario: a key is made and used: by weir cert issue, ca init, ca server, with a
CA's key in a file or in a token.

Question: who could read it besides the owner of the file?

Expected: nobody. The file is 0600 from its first byte, and new; what is written
elsewhere (registry, log, standard output, standard error) holds no part of it;
when the command ends, its memory holds neither the device's key nor the CA's.
That a search of the memory would find it is shown by a search while it is there.
"""

import base64
import hashlib
import json
import os
import pathlib
import re
import subprocess

import pytest

from cli_support import WEIR, make, openssl
from harness import DEADLINE_S, eventually, memory_of
from softhsm import PIN, Token

SYSCALLS = {"write": 1, "link": 86, "exit_group": 231}
"""Their numbers on x86-64."""

SANITIZED = b"__asan_init" in pathlib.Path(WEIR).read_bytes()
pytestmark = pytest.mark.skipif(
    SANITIZED, reason="a sanitizer keeps what was freed, and traces itself")


@pytest.fixture
def weir(tmp_path):
    return make(tmp_path)


class Traced:
    """weir ARGS under strace, which writes to LOG what it opens and writes,
    and holds it when it is about to do the system call AT for the first
    time."""

    def __init__(self, weir, *args, at=None):
        self.log = weir.folder / "strace.log"
        hold = [] if at is None else [
            "-e", f"inject={at}:delay_enter=600s:when=1"]
        self.process = subprocess.Popen(
            ["strace", "-f", "-qq", "-s", "65536", "-o", self.log, "-e",
             "trace=execve,openat,write,pwrite64,sendto,sendmsg,fchmod,link,"
             "exit_group", *hold, WEIR, *map(str, args)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=weir.folder,
            env=dict(os.environ, HOME=str(weir.folder),
                     WEIR_STATE=str(weir.folder / "state"),
                     WEIR_CA=str(weir.ca)))
        if at is not None:
            self.pid = eventually("weir is held", lambda: self._held(at))

    def _held(self, at):
        strace = self.process.pid
        children = pathlib.Path(
            f"/proc/{strace}/task/{strace}/children").read_text().split()
        for pid in children:
            try:
                number = pathlib.Path(f"/proc/{pid}/syscall").read_text()
                name = os.readlink(f"/proc/{pid}/exe")
            except OSError:
                continue
            if name == os.path.realpath(WEIR) and number.startswith(
                    f"{SYSCALLS[at]} "):
                return int(pid)
        return None

    def memory(self):
        """All that it could read of itself."""
        return memory_of(self.pid)

    def end(self):
        """What strace wrote, once it ended."""
        _, said = self.process.communicate(timeout=DEADLINE_S)
        assert self.process.returncode == 0, said
        return self.log.read_text()

    def kill(self):
        # strace takes what it started along.
        self.process.kill()
        self.process.communicate(timeout=DEADLINE_S)


def secrets_of(key):
    """Byte strings, each of which gives the key away: its numbers as they
    stand in a file and as they stand in memory, and its PEM."""
    pem = pathlib.Path(key).read_text()
    body = "".join(pem.splitlines()[1:-1])
    text = openssl("pkey", "-in", key, "-noout", "-text").decode()
    out = {b"PEM": pem.splitlines()[2].encode()}
    # The first line may be all header; the private number is behind it.
    der = base64.b64decode(body)
    for name in ("priv", "privateExponent", "prime1", "prime2"):
        found = re.search(rf"^{name}:\n((?:    .*\n)+)", text, re.M)
        if found:
            digits = bytes.fromhex(re.sub(r"[^0-9a-f]", "", found[1]))
            assert digits.lstrip(b"\0")[:24] in der
            out[name.encode()] = digits.lstrip(b"\0")[:24]
            out[name.encode() + b" in memory"] = digits[::-1][:24]
    assert len(out) >= 3
    return out


def found(secrets, data):
    return {name for name, needle in secrets.items() if needle in data}


KINDS = pytest.mark.parametrize("kind", ["p256", "rsa2048"])


@KINDS
def test_wiped(weir, kind):
    weir.ok("ca", "init", "--key-type", kind)
    ca = secrets_of(weir.ca / "ca.key")
    issue = ("cert", "issue", "till-7", "--key-type", kind, "--out")
    t = Traced(weir, *issue, "held", at="link")
    written, = (weir.folder / "held").glob("till-7.key.*")
    device = secrets_of(written)
    memory = t.memory()
    t.kill()
    assert found(device, memory) and found(ca, memory), "the search is blind"
    t = Traced(weir, *issue, "done", at="exit_group")
    device = secrets_of(weir.folder / "done" / "till-7.key")
    memory = t.memory()
    t.kill()
    assert b"till-7" in memory, "the search is blind"
    assert found(device, memory) == set()
    assert found(ca, memory) == set()


FORMS = pytest.mark.parametrize("form", [(), ("--bundle",)],
                                ids=["files", "bundle"])


def bulk(weir, form):
    ids = [f"b-{i}" for i in range(40)]
    (weir.folder / "m.csv").write_text(
        "id,class\n" + "".join(f"{id},meter\n" for id in ids))
    return ids, ("cert", "bulk", "m.csv", "--out", "o", "--jobs", "2", *form)


def bulk_keys(weir, ids):
    """The file of each key."""
    out = weir.folder / "o"
    for bundle in out.glob("bundle-*.jsonl*"):
        for line in map(json.loads, bundle.open()):
            (out / f"{line['id']}.key").write_text(line["key"])
    return [out / f"{id}.key" for id in ids]


@FORMS
def test_wiped_bulk(weir, form):
    weir.ok("ca", "init")
    ids, command = bulk(weir, form)
    t = Traced(weir, *command, at="exit_group")
    memory = t.memory()
    t.kill()
    assert b"b-39" in memory, "the search is blind"
    for key in bulk_keys(weir, ids):
        assert found(secrets_of(key), memory) == set(), key
    assert found(secrets_of(weir.ca / "ca.key"), memory) == set()


def test_bundle_is_private_and_written_once(weir):
    weir.ok("ca", "init")
    ids, command = bulk(weir, ("--bundle",))
    log = Traced(weir, *command).end()
    opened = re.findall(
        r'openat\(AT_FDCWD, "[^"]*bundle-[^"]*", (\S+), (\d+)\)', log)
    assert opened == [
        ("O_WRONLY|O_CREAT|O_EXCL|O_NOFOLLOW|O_CLOEXEC", "0600")]
    for key in bulk_keys(weir, ids):
        secret = {b"PEM": secrets_of(key)[b"PEM"]}
        lines = [x for x in log.splitlines() if found(secret, x.encode())]
        assert len(lines) == 1 and "bundle" not in lines[0]
        assert re.search(r" write\((?![012],)\d+, ", lines[0])


def test_wiped_ca(weir):
    for name, command in (
            ("ca.key", ("ca", "init")),
            ("server.key", ("ca", "server", "--host", "broker.example"))):
        t = Traced(weir, *command, at="exit_group")
        memory = t.memory()
        t.kill()
        assert found(secrets_of(weir.ca / name), memory) == set(), name


def test_wiped_import(weir):
    weir.ok("ca", "init")
    made = weir.ca
    weir.ca = weir.folder / "imported"
    t = Traced(weir, "ca", "import", "--cert", made / "ca.crt", "--key",
               made / "ca.key", at="exit_group")
    memory = t.memory()
    t.kill()
    assert (weir.ca / "ca.key").exists()
    assert found(secrets_of(made / "ca.key"), memory) == set()


FILES = {
    ("ca", "init"): "ca.key",
    ("ca", "server", "--host", "b.example"): "server.key",
    ("cert", "issue", "till-7", "--out", "ca"): "till-7.key",
}


def test_files_are_private_from_the_first_byte(weir):
    for command, name in FILES.items():
        log = Traced(weir, *command).end()
        opened = re.findall(
            rf'openat\(AT_FDCWD, "[^"]*{re.escape(name)}[^"]*", (\S+), (\d+)\)'
            r" = (\d+)", log)
        assert opened, name
        for flags, mode, _ in opened:
            assert {"O_CREAT", "O_EXCL"} <= set(flags.split("|")), flags
            assert mode == "0600"
        # It is made readable for nobody later, and written to once.
        fd = opened[0][2]
        assert re.search(rf"fchmod\({fd}, 0600\)", log)


def test_written_nowhere_else(weir):
    for command, name in FILES.items():
        log = Traced(weir, *command).end()
        secret = {k: v for k, v in secrets_of(weir.ca / name).items()
                  if k == b"PEM"}
        lines = [x for x in log.splitlines() if found(secret, x.encode())]
        assert len(lines) == 1 and re.search(r"write\(\d+, ", lines[0])
        assert "BEGIN PRIVATE KEY" in lines[0]
        assert not re.search(r"write\([012], ", lines[0])


@KINDS
def test_registry_and_output(weir, kind):
    said = []
    for command in (("ca", "init", "--key-type", kind),
                    ("cert", "issue", "till-7", "--key-type", kind)):
        done = weir("--json", *command)
        assert done.returncode == 0
        said.append(done.stdout + done.stderr)
    weir.ok("cert", "revoke", "till-7")
    said.append(weir.ok("--json", "audit", "list").encode())
    said.append(weir.ok("--json", "device", "show", "till-7").encode())
    for key in (weir.ca / "ca.key", weir.folder / "till-7.key"):
        secrets = secrets_of(key)
        for name in list(secrets):
            secrets[name + b" hex"] = secrets[name].hex().encode()
        for path in sorted((weir.folder / "state").glob("registry.db*")):
            data = path.read_bytes()
            assert found(secrets, data) == set(), path
        assert found(secrets, b"".join(said).lower()
                     + b"".join(said)) == set()
        assert found(secrets, key.read_bytes()), "the search is blind"


def secrets_of_token(token):
    """The token, what is random of it, and its hex."""
    raw = base64.urlsafe_b64decode(token.removeprefix("weir_") + "=")
    assert len(raw) == 32 and re.fullmatch(r"weir_[A-Za-z0-9_-]{43}", token)
    return {b"text": token.removeprefix("weir_").encode(), b"bytes": raw,
            b"hex": raw.hex().encode()}


@pytest.mark.parametrize("json_flag", [[], ["--json"]])
def test_token(weir, json_flag):
    """Written once, to standard output alone; the memory holds it while it is
    written, and no longer."""
    command = [*json_flag, "token", "add", "ops", "--rights", "act"]

    def token_in(log):
        lines = [x for x in log.splitlines() if "weir_" in x]
        assert len(lines) == 1 and re.search(r"\bwrite\(1, ", lines[0]), lines
        return re.search(r"weir_[A-Za-z0-9_-]{43}", lines[0])[0]

    t = Traced(weir, *command, at="exit_group")
    memory = t.memory()
    t.kill()
    token = token_in(t.log.read_text())
    assert b"ops" in memory, "the search is blind"
    assert found(secrets_of_token(token), memory) == set()
    weir.ok("token", "revoke", "ops")
    for path in sorted((weir.folder / "state").glob("registry.db*")):
        assert found(secrets_of_token(token), path.read_bytes()) == set(), path
    said = weir.ok("--json", "token", "list") + weir.ok("--json", "audit", "list")
    assert found(secrets_of_token(token), said.encode()) == set()
    assert hashlib.sha256(token.encode()).digest() in b"".join(
        x.read_bytes() for x in (weir.folder / "state").glob("registry.db*"))


def test_token_is_in_memory_while_it_is_written(weir):
    t = Traced(weir, "token", "add", "ops", at="write")
    memory = t.memory()
    t.kill()
    there, = set(re.findall(rb"weir_[A-Za-z0-9_-]{43}", memory))
    assert found(secrets_of_token(there.decode()), memory) >= {b"text", b"bytes"}


def test_pin(weir, tmp_path, monkeypatch):
    """A PIN in the environment is wiped from it before it is used; a file's
    leaves no trace in what is written."""
    token = Token(tmp_path / "token")
    monkeypatch.setenv("SOFTHSM2_CONF", str(token.conf))
    token.make_key("ca")
    monkeypatch.setenv("WEIR_CA_PIN", PIN)
    weir.ok("ca", "init", "--key", token.uri("ca", pin=False))
    t = Traced(weir, "cert", "issue", "till-7", at="link")
    environment = pathlib.Path(f"/proc/{t.pid}/environ").read_bytes()
    arguments = pathlib.Path(f"/proc/{t.pid}/cmdline").read_bytes()
    t.kill()
    assert b"WEIR_CA_PIN=" in environment
    assert PIN.encode() not in environment + arguments
    monkeypatch.delenv("WEIR_CA_PIN")
    other = weir.folder / "other"
    weir.ok("--ca", other, "ca", "init", "--key", token.uri("ca"))
    log = Traced(weir, "--ca", other, "cert", "issue", "till-8").end()
    assert PIN not in log
    for path in (other / "ca.json", weir.folder / "state" / "registry.db"):
        assert PIN.encode() not in path.read_bytes()
