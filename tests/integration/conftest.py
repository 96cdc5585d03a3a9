# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests with a real broker: see harness.py."""

import contextlib

import pytest

import cli_support
import clients
import feed_support
import harness
import measured
import policies
import tail_clients


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    return measured.call(pyfuncitem) if harness.REALTIME else None


@pytest.fixture(scope="module")
def fleet():
    """A fleet that the tests of a file share; each makes its own devices."""
    f = harness.Fleet(policies.SHARED, "--pen", "32473")
    yield f
    f.remove()


@pytest.fixture(scope="module")
def broker(fleet):
    with harness.Broker(fleet) as b:
        yield b


@pytest.fixture
def own_fleet():
    """A fleet of one test's own, to do anything to."""
    f = harness.Fleet(policies.SHARED, "--pen", "32473")
    yield f
    f.remove()


@pytest.fixture
def own_broker(own_fleet):
    with harness.Broker(own_fleet) as b:
        yield b


class Closing:
    def __init__(self):
        self.open = []

    def __call__(self, x):
        self.open.append(x)
        return x

    def close(self, to=0):
        """All but the first TO, newest first."""
        with contextlib.ExitStack() as stack:
            for x in self.open[to:]:
                stack.callback(x.close)
            del self.open[to:]


@pytest.fixture
def closing():
    """Closes what is given to it at the end of the test, newest first."""
    with contextlib.closing(Closing()) as c:
        yield c


@pytest.fixture
def wire(closing):
    """Makes raw connections: wire(broker, device, …)."""
    return lambda *a, **k: closing(clients.Wire(*a, **k))


@pytest.fixture
def paho(closing):
    """Makes paho clients: paho(broker, device, …)."""
    return lambda *a, **k: closing(clients.Client(*a, **k))


@pytest.fixture(params=[4, 5], ids=["v311", "v5"])
def version(request):
    """The protocol level of MQTT 3.1.1 and 5."""
    return request.param


@pytest.fixture(scope="module")
def feed(fleet):
    """A weir-feed that the tests of a file share."""
    with feed_support.Feed(fleet) as f:
        yield f


@pytest.fixture
def bare(tmp_path):
    """The weir command, where there is no state directory yet."""
    return cli_support.Weir(tmp_path)


@pytest.fixture
def weir(bare):
    """The weir command on an empty registry."""
    bare.ok("init", "--broker-user", cli_support.account())
    return bare


@pytest.fixture
def tail(closing):
    return lambda *a, **k: closing(tail_clients.Tail(*a, **k))


@pytest.fixture
def raw(closing):
    return lambda *a, **k: closing(tail_clients.RawTail(*a, **k))


@pytest.fixture
def own_feed(own_fleet):
    with feed_support.Feed(own_fleet) as f:
        yield f
