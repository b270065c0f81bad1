"""More new domains at once than may wait for an order."""

import signal
import time

from harness import SLOW, wait_for
from node import PREFIX

WAITING_MAX = 512  # in a lane
AWAY = 40          # for whom there is no room


def test_who_finds_no_room_is_told_so_and_comes_again(ground):
    """The CA hears nothing for a while, so nobody's place gets free."""
    world = ground.world("many")
    node = ground.node(world, settings={"acme": {"max_in_flight": 4}})
    # Four times as many as are ordered at once may rest meanwhile.
    names = [f"many{i}.test" for i in range(16 + WAITING_MAX + AWAY)]
    node.point_here(*names)
    world.pebble.signal(signal.SIGSTOP)
    for name in names:
        status, _ = node.api("POST", "/v1/apps/many/domains",
                             {"domain": {"name": name}})
        assert status == 201

    def turned_away():
        with node.redis_client() as redis:
            return [name for name in names if "many others are before it" in
                    (redis("HGET", f"{PREFIX}{{p0}}:domain:{name}", "reason")
                     or "")]

    wait_for("some to find no room", lambda: len(turned_away()) >= AWAY // 2,
             30 * SLOW, 0.2, node.tails)
    last = turned_away()[-1]
    assert node.status(last) == "creating"

    def not_due_for_an_hour():
        """Set, and still so when it was not in hand just then."""
        with node.redis_client() as redis:
            at = str(int((time.time() + 3600) * 1000))
            redis("ZADD", f"{PREFIX}{{p0}}:due", at, last)
            time.sleep(0.5)
            return redis("ZSCORE", f"{PREFIX}{{p0}}:due", last) == at

    # It does not come by itself: it is called when there is room.
    wait_for("it to be away", not_due_for_an_hour, 30 * SLOW)
    world.pebble.signal(signal.SIGCONT)
    for name in names:
        if name != last:
            status, _ = node.api("DELETE", f"/v1/apps/many/domains/{name}")
            assert status == 204
    node.await_status(last, "in_use", 60)
