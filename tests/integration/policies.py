# SPDX-License-Identifier: Apache-2.0
"""The policy that the tests with a real broker start from."""

import copy

SHARED = {
    "version": 1,
    "classes": {
        "meter": {
            "publish": [
                "m/${device}/up",
                {"topic": "m/${device}/q2", "max_qos": 2},
                {"topic": "m/${device}/keep", "retain": True},
                {"topic": "m/${device}/small", "max_bytes": 16},
                "m/${device}/will",
            ],
            "subscribe": ["m/${device}/cmd/#", "zone/+/news",
                          {"topic": "m/${device}/calm", "max_qos": 0}],
        },
        "sensor": {
            "comment": "no QoS 2: a session survives a lost right",
            "publish": ["s/${device}/up"],
            "subscribe": ["s/${device}/cmd/#", "s/${device}/old/#"],
        },
        "strict": {
            "publish": ["m/${device}/up"],
            "subscribe": ["m/${device}/cmd/#"],
            "on_deny": "disconnect",
        },
        "cover": {
            "comment": "the union allows what no rule does alone",
            "subscribe": ["a/+", "a/+/+/#", "b/x", "b/y"],
        },
        "sim": {
            "publish": ["m/${device}/up"],
            "sim": {"require": ["iccid"]},
        },
        "worker": {
            "publish": ["w/${device}/#"],
            "subscribe": ["w/${device}/#"],
            "client_ids": ["${device}", "${device}/*"],
        },
        "backend": {
            "publish": [
                {"topic": "m/+/cmd/#", "retain": True},
                {"topic": "s/+/+/#", "retain": True},
                {"topic": "zone/#", "retain": True},
                "a/#", "b/#", "other/#",
                {"topic": "w/+/in", "max_qos": 2},
            ],
            "subscribe": [
                "m/#", "s/#", "w/#",
                {"topic": "m/+/up", "shared": ["workers"]},
            ],
            "client_ids": ["${device}", "${device}/*"],
        },
        "ops": {
            "comment": "all topics but those of the broker's own tree",
            "publish": ["#"],
            "subscribe": ["#"],
        },
        "watch": {"subscribe": ["$SYS/broker/version"]},
    },
    "quarantine": {
        "publish": ["fw/${device}/state"],
        "subscribe": ["fw/${device}/#"],
    },
}


def changed(**classes):
    """The policy with some classes replaced; None takes one away."""
    p = copy.deepcopy(SHARED)
    for name, cls in classes.items():
        if cls is None:
            del p["classes"][name]
        else:
            p["classes"][name] = cls
    return p
