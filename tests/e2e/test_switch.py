"""Let's Encrypt switched off and on for a domain, at add and later."""

import signal
import time


def path_of(name):
    return f"/v1/apps/default/domains/{name}"


def shown(node, name):
    status, body = node.api("GET", path_of(name))
    assert status == 200, body
    return body["domain"]


def switch(node, name, on):
    status, body = node.api("PATCH", path_of(name),
                            {"domain": {"letsencrypt_enabled": on}})
    assert status == 200, body
    assert body["domain"]["letsencrypt_enabled"] is on
    return body["domain"]


def test_a_domain_added_without_letsencrypt_costs_no_order(shared):
    name = "off-from-start.test"
    shared.point_here(name)
    orders = shared.pebble.orders()
    shared.cli("domains-add", "--no-letsencrypt", name)
    shared.await_status(name, "disabled")
    time.sleep(1)
    assert shared.pebble.orders() == orders
    assert shown(shared, name)["letsencrypt_enabled"] is False
    assert shared.served(name).why

    shared.cli("domains-letsencrypt", name, "enable", "--wait")
    assert shared.status(name) == "in_use"
    assert shared.served(name).verified


def test_switched_off_is_out_of_service_and_back_without_an_order(shared):
    name = "off-and-on.test"
    shared.point_here(name)
    shared.add(name)
    serial = shared.await_status(name, "in_use")["serial"]
    default = shared.served("unknown.test").sha1

    shared.cli("domains-letsencrypt", name, "disable")
    shared.await_status(name, "disabled")
    shared.await_served(name, lambda s: s.sha1 == default)
    assert name not in shared.crt_list.read_text()
    assert "switched off" in shared.cli("why", name).out

    issued = len(shared.pebble.issued())
    switch(shared, name, True)
    shared.await_status(name, "in_use")
    assert shared.served(name).serial == serial
    assert len(shared.pebble.issued()) == issued


def test_an_order_in_flight_is_not_served_after_the_switch(shared):
    name = "off-in-flight.test"
    shared.point_here(name)
    # The CA thinks about it, however fast it is.
    shared.pebble.signal(signal.SIGSTOP)
    try:
        shared.add(name)
        shared.await_status(name, "creating")
        switch(shared, name, False)
    finally:
        shared.pebble.signal(signal.SIGCONT)
    shared.await_status(name, "disabled")
    time.sleep(2)
    assert shared.status(name) == "disabled"
    assert shared.served(name).why
    switch(shared, name, True)
    shared.await_status(name, "in_use")


def test_a_pending_domain_is_switched_off_and_on(shared):
    name = "off-while-pending.test"
    shared.add(name)
    shared.await_status(name, "pending_dns")
    switch(shared, name, False)
    shared.await_status(name, "disabled")
    switch(shared, name, True)
    shared.await_status(name, "pending_dns")
    shared.point_here(name)
    shared.await_status(name, "in_use")


def test_the_switch_survives_a_restart(node):
    name = "off-for-good.test"
    node.point_here(name)
    node.add(name)
    node.await_status(name, "in_use")
    switch(node, name, False)
    node.await_status(name, "disabled")
    node.sync.restart()
    node.haproxy.restart()
    time.sleep(1)
    assert node.status(name) == "disabled"
    assert node.served(name).why
