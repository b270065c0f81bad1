"""What the CA allows: counted by all together, before it is asked."""

import multiprocessing
import time

import pytest

from harness import answers_unix, built, wait_for
from lib_functions import redis, server  # noqa: F401
from node import PREFIX
from resp import Error, Resp

BUCKET = PREFIX + "limit:domain:shop.example@ca.example"
WEEK = 7 * 86400 * 1000
HOUR = 3600 * 1000
T0 = 1764000000000


# --- the library: one bucket ------------------------------------------------

def spend(redis, name, now="", limit=50, window=WEEK, happened="", key=BUCKET):
    more = [now] if now != "" else []
    granted, left, free_at, used, at = redis.fcall(
        "certfleet_limit_spend", [key], name, limit, window, happened, *more)
    return granted, left, int(free_at), used, int(at)


def peek(redis, now="", limit=50, window=WEEK, spends=0, key=BUCKET):
    more = [now] if now != "" else []
    left, free_at, used, at, blocked, *spent = redis.fcall(
        "certfleet_limit_peek", [key], limit, window, spends, *more)
    return left, int(free_at), used, int(blocked), [int(s) for s in spent]


def spend_all(redis, name, *buckets):
    """buckets: (key, limit, spends).  Granted, and how each is."""
    args = [a for _, limit, spends in buckets for a in (limit, WEEK, spends)]
    granted, _, *found = redis.fcall(
        "certfleet_limits_spend", [key for key, *_ in buckets], name, *args)
    return granted, [tuple(int(x) for x in found[i:i + 4])
                     for i in range(0, len(found), 4)]


def test_all_buckets_are_spent_or_none(redis):
    wide, narrow, seen = ("w", 9, 1), ("n", 1, 1), ("s", 1, 0)
    granted, found = spend_all(redis, "a:1", wide, narrow, seen)
    assert granted == 1
    assert [f[:2] for f in found] == [(1, 9), (1, 1), (1, 1)]
    assert [redis("ZCARD", k) for k in "wns"] == [1, 1, 0]
    granted, found = spend_all(redis, "b:1", wide, narrow, seen)
    assert granted == 0
    assert [f[0] for f in found] == [1, 0, 1]
    assert abs(found[1][2] - time.time() * 1000 - WEEK) < 60000
    assert redis("ZRANGE", "w", 0, -1) == ["a:1"]


def test_what_is_only_looked_at_must_have_room_too(redis):
    spend(redis, "x:1", key="s", limit=1, happened="0")
    granted, found = spend_all(redis, "a:1", ("w", 9, 1), ("s", 1, 0))
    assert (granted, [f[0] for f in found]) == (0, [1, 0])
    assert redis("EXISTS", "w") == 0


def test_the_same_journal_spends_once_and_does_not_count_for_itself(redis):
    for _ in range(3):
        granted, found = spend_all(redis, "a:1", ("n", 1, 1))
        assert (granted, found[0][3]) == (1, 0)
    assert redis("ZCARD", "n") == 1
    assert spend_all(redis, "b:1", ("n", 1, 1))[1][0][3] == 1


def test_what_a_denied_order_had_from_before_is_given_back(redis):
    assert spend_all(redis, "a:1", ("w", 9, 1))[0] == 1
    redis.fcall("certfleet_limit_block", ["n"], str(2 ** 45), WEEK)
    assert spend_all(redis, "a:1", ("w", 9, 1), ("n", 9, 1))[0] == 0
    assert redis("EXISTS", "w") == 0


def test_no_limit_is_no_bucket(redis):
    assert spend_all(redis, "a:1", ("w", 0, 1))[0] == 1
    assert redis("EXISTS", "w") == 0


def racer(path, number, granted):
    redis = Resp(path)
    mine = sum(spend(redis, f"n{number}-{i}:1")[0] for i in range(50))
    granted.put(mine)
    redis.close()


def test_eight_processes_race_for_fifty(server, redis):
    granted = multiprocessing.Queue()
    racers = [multiprocessing.Process(target=racer, args=(server, n, granted))
              for n in range(8)]
    for r in racers:
        r.start()
    total = sum(granted.get(timeout=30) for _ in racers)
    for r in racers:
        r.join()
    assert total == 50
    left, free_at, used, _, _ = peek(redis)
    assert (left, used) == (0, 50)
    assert 0 < free_at - time.time() * 1000 - WEEK < 60000 or \
        abs(free_at - time.time() * 1000 - WEEK) < 60000


def test_the_window_slides(redis):
    for i in range(50):
        assert spend(redis, f"a{i}:1", T0 + i * HOUR)[0] == 1
    denied = spend(redis, "b:1", T0 + 50 * HOUR)
    # The first one leaves a millisecond after a week.
    assert denied[:3] == (0, 0, T0 + WEEK + 1)
    assert spend(redis, "b:1", T0 + WEEK)[0] == 0
    assert spend(redis, "b:1", T0 + WEEK + 1)[0] == 1
    assert spend(redis, "c:1", T0 + WEEK + 2)[:3] == (0, 0, T0 + HOUR + WEEK + 1)


def test_no_window_ever_holds_more_than_the_limit(redis):
    times, now = [], T0
    for i in range(400):
        granted, _, free_at, _, _ = spend(redis, f"x{i}:1", now, limit=7,
                                          window=HOUR)
        if granted:
            times.append(now)
            now += (i * 7919) % 600000
        else:
            assert free_at > now
            now = free_at - 1 if i % 2 else free_at
    for first in times:
        assert sum(first <= t <= first + HOUR for t in times) <= 7


def test_one_id_spends_once(redis):
    assert spend(redis, "a:1", T0, limit=2)[:2] == (1, 1)
    assert spend(redis, "a:1", T0 + 5, limit=2)[:2] == (1, 1)
    assert spend(redis, "b:1", T0 + 6, limit=2)[:2] == (1, 0)
    assert spend(redis, "c:1", T0 + 7, limit=2)[0] == 0
    # Asked again it is granted, full or not, and counts from then.
    assert spend(redis, "a:1", T0 + 8, limit=2)[0] == 1
    assert redis("ZSCORE", BUCKET, "a:1") == str(T0 + 8)


def test_a_refund_makes_room(redis):
    spend(redis, "a:1", T0, limit=1)
    assert spend(redis, "b:1", T0 + 1, limit=1)[0] == 0
    assert redis.fcall("certfleet_limit_refund", [BUCKET], "a:1") == 1
    assert redis.fcall("certfleet_limit_refund", [BUCKET], "a:1") == 0
    assert spend(redis, "b:1", T0 + 2, limit=1)[0] == 1


def test_what_has_happened_counts_whatever_the_limit(redis):
    for i in range(3):
        assert spend(redis, f"a{i}:1", T0 + 10, limit=2, happened=T0 + i)[0] == 1
    assert peek(redis, T0 + 10, limit=2, spends=9)[4] == [T0, T0 + 1, T0 + 2]
    # Two must go before there is room.
    assert spend(redis, "b:1", T0 + 10, limit=2)[:3] == (0, 0, T0 + 1 + WEEK + 1)
    # What is older than the window does not come back; nor a later time.
    spend(redis, "old:1", T0 + WEEK * 3, limit=2, happened=T0)
    assert redis("ZSCORE", BUCKET, "old:1") is None
    spend(redis, "soon:1", T0, limit=2, happened=T0 + HOUR)
    assert redis("ZSCORE", BUCKET, "soon:1") == str(T0)


def test_a_block_holds_all_back_and_only_grows(redis):
    spend(redis, "a:1", T0)
    assert redis.fcall("certfleet_limit_block", [BUCKET], T0 + HOUR, WEEK, T0) \
        == str(T0 + HOUR)
    assert redis.fcall("certfleet_limit_block", [BUCKET], T0 + 5, WEEK, T0) \
        == str(T0 + HOUR)
    assert spend(redis, "b:1", T0 + 1)[:4] == (0, 49, T0 + HOUR, 1)
    assert spend(redis, "a:1", T0 + 1)[0] == 0
    assert peek(redis, T0 + 1, spends=9) == (49, T0 + HOUR, 1, T0 + HOUR, [T0])
    assert spend(redis, "b:1", T0 + HOUR)[:4] == (1, 48, 0, 2)
    # Without a limit there is still the CA's word.
    key = BUCKET + "x"
    redis.fcall("certfleet_limit_block", [key], T0 + HOUR, WEEK, T0)
    assert spend(redis, "b:1", T0, limit=0, key=key)[:3] == (0, 0, T0 + HOUR)
    assert spend(redis, "b:1", T0 + HOUR, limit=0, key=key)[0] == 1
    assert redis("ZCARD", key) == 1


def test_full_and_blocked_is_the_later_of_both(redis):
    spend(redis, "a:1", T0, limit=1, window=HOUR)
    redis.fcall("certfleet_limit_block", [BUCKET], T0 + 10, HOUR, T0)
    assert spend(redis, "b:1", T0 + 1, limit=1, window=HOUR)[2] == T0 + HOUR + 1
    redis.fcall("certfleet_limit_block", [BUCKET], T0 + 3 * HOUR, HOUR, T0)
    assert spend(redis, "b:1", T0 + 1, limit=1, window=HOUR)[2] == T0 + 3 * HOUR


def test_an_idle_bucket_is_forgotten_in_time(redis):
    spend(redis, "a:1")
    assert WEEK < redis("PTTL", BUCKET) <= WEEK + 60000
    until = int(time.time() * 1000) + 2 * WEEK
    redis.fcall("certfleet_limit_block", [BUCKET], until, WEEK)
    assert 2 * WEEK < redis("PTTL", BUCKET) <= 3 * WEEK + 60000


def test_looking_writes_nothing(redis):
    with pytest.raises(Error):
        redis("FCALL_RO", "certfleet_limit_spend", 1, BUCKET, "a:1", 1, 1, "")
    assert redis("FCALL_RO", "certfleet_limit_peek", 1, BUCKET, 5, WEEK, 9)[:3] \
        == [5, "0", 0]


def test_many_are_looked_at_as_one_is(redis):
    spend(redis, "a:1", key="full", limit=1)
    spend(redis, "b:1", key="room", limit=5)
    redis.fcall("certfleet_limit_block", ["held"], T0 * 2, WEEK)
    limits = {"full": 1, "room": 5, "held": 3, "new": 2}
    now, *found = redis(
        "FCALL_RO", "certfleet_limits_peek", len(limits), *limits,
        *(x for limit in limits.values() for x in (limit, WEEK)))
    assert abs(int(now) - time.time() * 1000) < 60000
    for i, (key, limit) in enumerate(limits.items()):
        left, free_at, used, blocked, _ = peek(redis, key=key, limit=limit)
        assert [int(x) for x in found[4 * i:4 * i + 4]] == \
            [left, free_at, used, blocked], key


# --- the whole: sync, Redis and a CA -----------------------------------------

def limits_of(node):
    """Buckets in Redis: name without the CA -> {id: time}."""
    with node.redis_client() as redis:
        found = {}
        for key in redis("KEYS", f"{PREFIX}limit:*"):
            flat = redis("ZRANGE", key, 0, -1, "WITHSCORES")
            bucket = key[len(PREFIX + "limit:"):].split("@")[0]
            found[bucket] = dict(zip(flat[::2], map(int, flat[1::2])))
        return found


def three_a_week(ground, world=None, **more):
    return ground.node(world, settings={
        "limits": {"certificates_per_domain": 3, **more}})


def added(node, *names):
    node.point_here(*names)
    node.add(*names)


def await_limited(node, name):
    return node.await_record(
        f"{name} to wait for the limit",
        lambda: (r := node.record(name)).get("rate_limited_until") and r,
        20, name)


def test_the_fourth_name_of_a_domain_waits(ground):
    node = three_a_week(ground)
    names = [f"n{i}.shop.test" for i in range(3)]
    added(node, *names)
    for name in names:
        node.await_status(name, "in_use")
    orders = node.pebble.orders()
    added(node, "n3.shop.test")
    record = await_limited(node, "n3.shop.test")
    assert record["status"] == "creating"
    assert "at most 3 certificates per week for shop.test" in record["reason"]
    week = (int(record["rate_limited_until"]) / 1000 - time.time()) / 86400
    assert 6.9 < week < 7.1
    assert 0 < int(record["next_at"]) - int(record["rate_limited_until"]) < 61000
    assert record.get("attempts", "0") == "0"
    assert node.pebble.orders() == orders
    assert "at most 3" in node.cli("why", "n3.shop.test").out
    # Another domain is not held back, and a denied order holds no place.
    added(node, "n0.other.test")
    node.await_status("n0.other.test", "in_use")
    limits = limits_of(node)
    assert len(limits["domain:shop.test"]) == 3
    assert "set:n3.shop.test" not in limits
    assert len(limits["orders:"]) == 4
    # A place comes free: moved into the past, and the name is looked at.
    with node.redis_client() as redis:
        key = redis("KEYS", f"{PREFIX}limit:domain:shop.test@*")[0]
        first = redis("ZRANGE", key, 0, 0)[0]
        redis("ZADD", key, 1000, first)
        redis("ZADD", f"{PREFIX}{{p0}}:due", 1, "n3.shop.test")
    # This node knows better than such a Redis.
    time.sleep(1)
    assert node.status("n3.shop.test") == "creating"
    assert len(node.pebble.issued()) == 4


def test_a_failed_order_gives_its_certificate_back(ground):
    world = ground.world(blocklist=["bad.shop.test"])
    node = three_a_week(ground, world)
    added(node, "bad.shop.test")
    node.await_record(
        "a refusal", lambda: int(node.record("bad.shop.test").get(
            "attempts", "0")) >= 2, 30, "bad.shop.test")
    limits = limits_of(node)
    assert not limits.get("domain:shop.test")
    assert not limits.get("set:bad.shop.test")
    assert node.pebble.issued() == []
    # Refused at newOrder: there never was one.
    assert not limits.get("orders:")


def has_faults():
    with open(built("certfleet-sync"), "rb") as f:
        return b"CERTFLEET_FAULT" in f.read()


@pytest.mark.parametrize("step", ["F2", "F3", "F4", "F5", "F12"])
def test_a_crash_spends_once(ground, step):
    node = three_a_week(ground)
    if not has_faults():
        pytest.skip("a build without faults")
    node.sync.stop()
    node.sync.start(fault=f"{step}:kill")
    wait_for("the API", lambda: answers_unix(node.api_socket), 20)
    added(node, "crash.shop.test")
    assert node.sync.ended(30) == -9, node.sync.tail()
    node.sync.start()
    wait_for("Redis", lambda: answers_unix(node.redis_socket), 20)
    node.await_status("crash.shop.test", "in_use", 40)
    limits = limits_of(node)
    for bucket in "domain:shop.test", "set:crash.shop.test", "orders:":
        assert len(limits[bucket]) == 1, limits


def test_a_redis_that_forgot_everything_gets_it_back(ground):
    """Emptied while sync is down: the ledger knows what was spent."""
    world = ground.world()
    node = three_a_week(ground, world)
    names = [f"n{i}.shop.test" for i in range(3)]
    added(node, *names)
    for name in names:
        node.await_status(name, "in_use")
    before = limits_of(node)
    with node.redis_client() as redis:
        redis("FLUSHALL")
    node.sync.restart()
    added(node, "n3.shop.test")
    record = await_limited(node, "n3.shop.test")
    assert "at most 3 certificates per week for shop.test" in record["reason"]
    assert limits_of(node)["domain:shop.test"].keys() == \
        before["domain:shop.test"].keys()
    assert len(world.pebble.issued()) == 3
    ledger = node.state_dir / "ledger"
    assert ledger.stat().st_mode & 0o777 == 0o600


def test_a_redis_that_forgets_under_our_hands_gets_it_back(ground):
    """Some spends are lost, as in a failover; nobody restarts."""
    world = ground.world()
    node = three_a_week(ground, world)
    names = [f"n{i}.shop.test" for i in range(3)]
    added(node, *names)
    for name in names:
        node.await_status(name, "in_use")
    with node.redis_client() as redis:
        key = redis("KEYS", f"{PREFIX}limit:domain:shop.test@*")[0]
        redis("ZREM", key, *redis("ZRANGE", key, 0, 1))
        assert redis("ZCARD", key) == 1
    added(node, "n3.shop.test")
    await_limited(node, "n3.shop.test")
    assert len(limits_of(node)["domain:shop.test"]) == 3
    assert len(world.pebble.issued()) == 3
    assert "Redis has lost spends" in node.sync.text()


def test_orders_of_the_account_are_counted(ground):
    # Without bad nonces: an order that is asked for again is one.
    node = ground.node(ground.world(nonce_reject=0),
                       settings={"limits": {"orders_per_account": 2}})
    names = [f"n{i}.acc{i}.test" for i in range(2)]
    added(node, *names)
    for name in names:
        node.await_status(name, "in_use")
    added(node, "n2.acc2.test")
    record = await_limited(node, "n2.acc2.test")
    assert "at most 2 orders in 3 hours of our account" in record["reason"]
    # What the other buckets gave for it went back.
    assert not limits_of(node).get("domain:acc2.test")
    assert node.pebble.orders() == 2
    # The next one has a turn of its own: one place does not wake all.
    added(node, "n3.acc3.test")
    after = await_limited(node, "n3.acc3.test")
    assert int(after["rate_limited_until"]) > \
        int(record["rate_limited_until"]) + 100


# --- what the CA says ---------------------------------------------------------

@pytest.fixture(scope="module")
def refusing(session_ground):
    """A node whose CA says what a rule of tests/fakeca says."""
    fakeca = pytest.importorskip("fakeca")
    world = session_ground.world("limits", authz_reuse=0, nonce_reject=0)
    ca = fakeca.FakeCA(world.pebble, world.tls, world.dir)
    node = session_ground.node(world, name="l1", settings={
        "acme": {"directory": ca.directory, "retry_first_s": 1,
                 "retry_max_s": 3},
        "limits": {"failures_per_name": 3}})
    node.ca, node.faults = ca, pytest.importorskip("fakeca.faults")
    yield node
    node.sync.stop()
    ca.stop()


def asked_for(node, name):
    return [at for at, kind, names in node.ca.requests
            if kind == "newOrder" and name in names]


@pytest.mark.parametrize("anchor, shared, ours", [
    ("new-orders-per-account", True, "enough orders of our account"),
    ("new-certificates-per-registered-domain", True, "enough certificates"),
    ("new-certificates-per-exact-set-of-identifiers", False, ""),
    ("authorization-failures-per-identifier-per-account", False, "")])
def test_a_429_holds_back_all_behind_its_bucket(refusing, anchor, shared, ours):
    node, wait = refusing, 5
    domain = f"{anchor[:10]}{len(anchor)}.test"
    first, second = f"www.{domain}", f"api.{domain}"
    node.ca.on("newOrder", node.faults.rate_limited(anchor, wait, "seconds"),
               name=first, times=1)
    added(node, first)
    record = await_limited(node, first)
    assert "too many" in record["reason"], record
    assert record.get("attempts", "0") == "0"
    limited = int(record["rate_limited_until"]) / 1000
    assert 0 < limited - time.time() <= wait
    # Refused: nothing was spent.
    assert not limits_of(node).get(f"set:{first}", {}).keys() - {"blocked"}
    added(node, second)
    if shared:
        assert ours in await_limited(node, second)["reason"]
    for name in first, second:
        node.await_status(name, "in_use")
    assert len(asked_for(node, first)) == 2
    assert asked_for(node, first)[1] >= limited - 0.1
    assert len(asked_for(node, second)) == 1
    assert (asked_for(node, second)[0] >= limited - 0.1) == shared


def test_a_name_that_failed_too_often_waits_and_no_other(refusing):
    node, name, other = refusing, "fails.fail3.test", "goes.fail3.test"
    node.ca.on("challenge", node.faults.secondary_validation(), name=name)
    added(node, name)
    record = await_limited(node, name)
    assert len(asked_for(node, name)) == 3
    assert 3000 < int(record["rate_limited_until"]) / 1000 - time.time() < 3600
    assert "at most 3 failed validations per hour" in record["reason"]
    assert len(limits_of(node)[f"failures:{name}"]) == 3
    added(node, other)
    node.await_status(other, "in_use")
    node.ca.reset()


def test_paused_is_for_a_person_with_the_whole_link(refusing):
    node, name = refusing, "paused.test"
    url = "https://sfe.ca.test/sfe/v1/unpause?jwt=" + "x" * 600
    node.ca.on("newOrder", node.faults.paused(url), name=name)
    added(node, name)
    record = node.await_status(name, "action_required")
    assert url in record["action"]
    assert url in node.cli("why", name).out
    node.ca.reset()
    record = node.await_status(name, "in_use", 60)
    assert "action" not in record


# --- for people: limits and plan ----------------------------------------------

def test_limits_tells_what_is_left(ground):
    node = three_a_week(ground)
    added(node, "n0.shop.test", "n1.shop.test")
    for name in "n0.shop.test", "n1.shop.test":
        node.await_status(name, "in_use")
    _, answer = node.api("GET", "/api/v1/limits")
    account, = answer["limits"]
    assert (account["limit"], account["used"], account["max"],
            account["left"]) == ("orders", 2, 300, 298)
    found = node.cli("--json", "limits", "N0.shop.test").json
    assert found["registered_domain"] == "shop.test"
    orders, domain, names, failures = found["limits"]
    assert (domain["limit"], domain["of"], domain["used"], domain["left"],
            domain["next_free_at"]) == ("domain", "shop.test", 2, 1, None)
    assert (names["of"], names["used"], failures["used"]) == \
        ("n0.shop.test", 1, 0)
    out = node.cli("limits", "n0.shop.test").out
    assert "2 of 3" in out and "shop.test" in out and "7 days" in out, out
    assert node.api("GET", "/api/v1/limits?domain=not%20a%20name")[0] == 400
    assert node.cli("limits", "-x-.", code=None).code != 0


def test_plan_says_when_each_name_would_come(ground, tmp_path):
    node = three_a_week(ground)
    added(node, "n0.shop.test", "n1.shop.test")
    for name in "n0.shop.test", "n1.shop.test":
        node.await_status(name, "in_use")
    names = [f"new{i}.shop.test" for i in range(5)]
    path = tmp_path / "names"
    path.write_text("# to come\n" + "\n".join(names) +
                    "\n\nother.test # one more\nnew0.shop.test\nnot a name\n")
    plan = node.cli("--json", "plan", str(path)).json["plan"]
    assert [p["name"] for p in plan[:6]] == names + ["other.test"]
    assert [p["now"] for p in plan[:6]] == [True] + [False] * 4 + [True]
    assert [p["waits_for"] for p in plan[:6]] == [None] + ["domain"] * 4 + [None]
    assert "twice" in plan[6]["error"] and plan[7]["error"]
    days = [(time.mktime(time.strptime(p["at"][:19], "%Y-%m-%dT%H:%M:%S"))
             - time.timezone - time.time()) / 86400 for p in plan[:5]]
    # Two places come back in a week, the one of today with them.
    assert [round(d) for d in days] == [0, 7, 7, 7, 14]
    out = node.cli("plan", str(path)).out
    assert "8 names: 2 now, 4 later" in out, out
    assert "certificates of shop.test" in out
    assert node.cli("plan", str(tmp_path / "absent"), code=None).code == 1
    assert node.api("POST", "/api/v1/plan", {"names": "x"})[0] == 400
    assert node.api("POST", "/api/v1/plan", {"names": [1]})[0] == 400
    assert node.api("POST", "/api/v1/plan", {"names": []})[1]["plan"] == []
    # Nothing was spent by looking.
    assert len(limits_of(node)["domain:shop.test"]) == 2


def test_a_plan_of_twenty_thousand_names(ground):
    node = three_a_week(ground)
    names = [f"n{i}.d{i % 4000}.test" for i in range(20000)]
    start = time.monotonic()
    status, answer = node.api("POST", "/api/v1/plan", {"names": names})
    assert status == 200
    print(f"{time.monotonic() - start:.1f} s")
    assert len(answer["plan"]) == 20000
    # 300 in any 3 hours: 67 times.
    assert sum(p["now"] for p in answer["plan"]) == 300
    status, _ = node.api("POST", "/api/v1/plan", {"names": ["x" * 1000] * 2000})
    assert status == 413
