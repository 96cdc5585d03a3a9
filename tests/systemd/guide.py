# SPDX-License-Identifier: Apache-2.0
"""
Sets a machine up with the very commands of docs/OPERATIONS.md, and asks the feed
that runs on it.
"""

import json
import re

import harness

PAGE = (harness.REPO / "docs" / "OPERATIONS.md").read_text()
METER_PAGE = (harness.REPO / "docs" / "METER.md").read_text()

POLICY = {
    "version": 1,
    "classes": {"sensor": {"publish": ["s/${device}/up"],
                           "subscribe": ["s/${device}/down"]}},
    "quarantine": {"publish": ["fw/${device}/state"]},
}


def block(holds, page=PAGE):
    """The one block of commands that holds a text."""
    blocks = [b for b in re.findall(r"(?:^    .*\n)+", page, re.M)
              if holds in b]
    assert len(blocks) == 1, (holds, blocks)
    return re.sub(r"^    ", "", blocks[0], flags=re.M)


def as_the_page_says(m):
    m.put("/usr/local/share/doc/weir/policy.json", json.dumps(POLICY))
    m.script(block("weir policy apply policy.json\n"))
    m.script(block("weir ca init --name 'Our fleet'\n"
                   "    weir ca server"))
    m.script("cd ~/.weir/ca\n" + block("/etc/weir/\n"))
    m.script(block("/etc/mosquitto/mosquitto.conf\n    mkdir"))
    m.script(block("systemd-sysusers\n"))


def get(m, path):
    """A GET of the feed, as JSON."""
    return json.loads(m.run("curl", "-sS", "--max-time", "10",
                            f"http://127.0.0.1:9782/api/v1{path}"))


def health(m):
    """What the feed says of itself, or None when it does not answer."""
    status, said = m.ask("curl", "-s", "--max-time", "10",
                         "http://127.0.0.1:9782/api/v1/health")
    return json.loads(said) if status == 0 else None


def well(m):
    h = health(m)
    return h is not None and h["status"] == "ok" and \
        h["broker"]["state"] == "running"


def post(m, token, path, body):
    said = m.run("curl", "-sS", "--max-time", "10", "-w", "\n%{http_code}",
                 "-H", f"Authorization: Bearer {token}",
                 "-H", "Content-Type: application/json",
                 "-d", json.dumps(body), f"http://127.0.0.1:9782/api/v1{path}")
    answer, status = said.rsplit("\n", 1)
    return int(status), json.loads(answer)


def device(m, id):
    """A device with a certificate in /root/devices."""
    m.run("weir", "device", "add", id, "--class", "sensor")
    m.run("weir", "cert", "issue", id, "--out", "/root/devices")


def client(program, id, topic, *args):
    return [program, "-V", "5", "-h", "broker.example.net", "-p", "8883",
            "--cafile", "/etc/weir/ca.crt",
            "--cert", f"/root/devices/{id}.crt",
            "--key", f"/root/devices/{id}.key", "-i", id, "-t", topic,
            "-q", "1", *args]


def publish(m, id, text="x"):
    """Publishes what the class allows: the exit status, and what it said."""
    return m.ask(*client("mosquitto_pub", id, f"s/{id}/up", "-m", text))


def counted(m, id):
    """What the feed has counted of a device."""
    return get(m, f"/devices/{id}")["usage"]
