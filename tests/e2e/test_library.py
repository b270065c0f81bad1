"""common/library.lua on a real Redis: what must be atomic, and who may write."""
import json
import time

import pytest

from lib_functions import LIBRARY, redis, server  # noqa: F401
from resp import Error, Resp

NAME = "www.shop.example"
P = "certfleet:{p0}:"
DOMAIN, CERT, ORDER = P + "domain:" + NAME, P + "cert:" + NAME, P + "order:" + NAME
DUE, INDEX, GEN, EVENTS = P + "due", P + "index", P + "gen", P + "events"
REMOVED = P + "removed"
TIMELINE = P + "timeline:" + NAME
LEADER, NODE = "certfleet:leader", "certfleet:node:n1"
COMMIT_KEYS = [DOMAIN, CERT, ORDER, DUE, INDEX, GEN, EVENTS, TIMELINE]
CUSTOM = P + "custom:" + NAME
REMOVE_KEYS = [DOMAIN, CERT, ORDER, DUE, INDEX, GEN, EVENTS, REMOVED, TIMELINE,
               CUSTOM]
OWNER_KEYS = [DOMAIN, CUSTOM, CERT, DUE, INDEX, GEN, EVENTS, REMOVED, TIMELINE]
SHA_A, SHA_B, SHA_C = "A" * 40, "B" * 40, "C" * 40


def add(redis, name=NAME, next_at=1000, **fields):
    fields = fields or {"status": "pending_dns", "app": "shop"}
    flat = [text for pair in fields.items() for text in pair]
    return redis.fcall("certfleet_add", [P + "domain:" + name, DUE, EVENTS,
                                         REMOVED, P + "timeline:" + name],
                       name, next_at, *flat)


def update(redis, epoch, next_at="", event="", fields=(), delete=()):
    return redis.fcall("certfleet_update", [DOMAIN, DUE, EVENTS, TIMELINE],
                       epoch, NAME,
                       next_at, event, len(fields) // 2, *fields, *delete)


def journal(redis, epoch, expected, step, *fields):
    return redis.fcall("certfleet_journal", [DOMAIN, ORDER], epoch, expected,
                       step, *fields)


def commit(redis, epoch, sha1, not_after, next_at=5000, force="0",
           bundle=b"bundle", fields=()):
    return redis.fcall("certfleet_commit", COMMIT_KEYS, epoch, NAME, sha1,
                       not_after, next_at, force, bundle, len(fields) // 2,
                       *fields)


def in_hand(redis, epoch):
    flat = redis.fcall("certfleet_take", [DOMAIN], epoch)
    return dict(zip(flat[::2], flat[1::2]))


def lease(redis, node, ttl=10000, *seen):
    return redis.fcall("certfleet_lease", [LEADER], node, ttl, *seen)


def events(redis):
    return [dict(zip(f[::2], f[1::2])) for _, f in redis("XRANGE", EVENTS, "-", "+")]


def dump(redis):
    """Everything that is there, to see that nothing changed."""
    keys = sorted(redis("KEYS", "*"))
    return {key: redis("DUMP", key, raw=True) for key in keys}


def refused(word, function, *args, **kwargs):
    with pytest.raises(Error) as caught:
        function(*args, **kwargs)
    assert caught.value.word == word, caught.value


# --- the lease ---------------------------------------------------------------


def test_a_free_lease_is_granted_with_the_time_as_epoch(redis):
    before = int(time.time() * 1000)
    granted, epoch, holder, left = lease(redis, "n1")
    assert (granted, holder, left) == (1, "n1", 10000)
    assert before - 1000 <= int(epoch) <= int(time.time() * 1000) + 1000


def test_a_lease_that_is_held_is_denied_with_its_holder(redis):
    _, epoch, _, _ = lease(redis, "n1")
    granted, seen, holder, left = lease(redis, "n2")
    assert (granted, seen, holder) == (0, epoch, "n1")
    assert 0 < left <= 10000


def test_a_lease_that_is_renewed_keeps_its_epoch(redis):
    _, epoch, _, _ = lease(redis, "n1", 5000)
    assert lease(redis, "n1", 10000) == [1, epoch, "n1", 10000]


def test_the_epoch_grows_when_the_lease_ran_out_even_for_its_holder(redis):
    _, first, _, _ = lease(redis, "n1", 5)
    time.sleep(0.02)
    _, second, _, _ = lease(redis, "n1", 5)
    time.sleep(0.02)
    _, third, _, _ = lease(redis, "n2", 5)
    assert int(first) < int(second) < int(third)


def test_the_epoch_grows_when_the_clock_went_back(redis):
    ahead = str(int(time.time() * 1000) + 3600000)
    redis("HSET", LEADER, "node", "n0", "epoch", ahead, "until", "0")
    assert lease(redis, "n1")[:2] == [1, str(int(ahead) + 1)]


def test_a_new_epoch_is_later_than_the_one_that_was_in_the_way(redis):
    ahead = int(time.time() * 1000) + 3600000
    _, epoch, _, _ = lease(redis, "n1", 10000, 0)
    assert int(epoch) < ahead
    assert lease(redis, "n1", 10000, ahead)[1] == epoch
    redis.fcall("certfleet_release", [LEADER], "n1", epoch)
    assert lease(redis, "n1", 10000, ahead)[1] == str(ahead + 1)


def test_a_lease_that_is_released_is_granted_to_the_next_at_once(redis):
    _, epoch, _, _ = lease(redis, "n1")
    assert redis.fcall("certfleet_release", [LEADER], "n1", epoch) == 1
    granted, next_epoch, holder, _ = lease(redis, "n2")
    assert (granted, holder) == (1, "n2")
    assert int(next_epoch) > int(epoch)


def test_only_the_holder_with_its_epoch_can_release(redis):
    _, epoch, _, _ = lease(redis, "n1")
    assert redis.fcall("certfleet_release", [LEADER], "n2", epoch) == 0
    assert redis.fcall("certfleet_release", [LEADER], "n1", int(epoch) - 1) == 0
    assert lease(redis, "n2")[0] == 0


# --- domains -----------------------------------------------------------------


def test_a_domain_is_added_once(redis):
    assert add(redis) == 1
    before = dump(redis)
    assert add(redis, next_at=9, status="disabled") == 0
    assert dump(redis) == before
    assert redis.hash(DOMAIN) == {"name": NAME, "app": "shop", "epoch": "0",
                                  "status": "pending_dns"}
    assert redis("ZSCORE", DUE, NAME) == "1000"
    (event,) = events(redis)
    assert (event["type"], event["name"], event["status"]) == (
        "added", NAME, "pending_dns")


def test_an_update_writes_deletes_schedules_and_tells(redis):
    add(redis, status="pending_dns", reason="old", last_error="x")
    assert update(redis, 7, 2000, "status", ["status", "creating", "reason", "ok"],
                  ["last_error"]) == 1
    assert redis.hash(DOMAIN) == {"name": NAME, "epoch": "7",
                                  "status": "creating", "reason": "ok"}
    assert redis("ZSCORE", DUE, NAME) == "2000"
    assert events(redis)[-1]["type"] == "status"
    assert events(redis)[-1]["status"] == "creating"
    assert events(redis)[-1]["reason"] == "ok"


def test_an_update_leaves_due_alone_or_takes_the_name_out(redis):
    add(redis)
    update(redis, 1)
    assert redis("ZSCORE", DUE, NAME) == "1000"
    update(redis, 1, "-")
    assert redis("ZSCORE", DUE, NAME) is None
    assert len(events(redis)) == 1


def test_a_time_in_milliseconds_stays_exact(redis):
    add(redis, next_at=1764000000123)
    assert redis("ZSCORE", DUE, NAME) == "1764000000123"
    update(redis, 1764000000123)
    assert redis.hash(DOMAIN)["epoch"] == "1764000000123"
    refused("FENCED", update, redis, 1764000000122)


def test_the_epoch_is_the_callers_whatever_the_fields_say(redis):
    add(redis, status="creating", epoch="99")
    assert redis.hash(DOMAIN)["epoch"] == "0"
    update(redis, 5, fields=["epoch", "3"])
    assert redis.hash(DOMAIN)["epoch"] == "5"


def test_a_domain_that_is_removed_leaves_its_removal_and_nothing_else(redis):
    add(redis)
    journal(redis, 1, "", "new")
    commit(redis, 1, SHA_A, 1000)
    commit(redis, 1, SHA_B, 2000)
    journal(redis, 1, "", "new")
    gen = int(redis("GET", GEN))
    keys = REMOVE_KEYS
    assert redis.fcall("certfleet_remove", keys, NAME) == 1
    assert sorted(redis("KEYS", "*")) == [EVENTS, GEN, REMOVED]
    assert redis("ZRANGE", REMOVED, 0, -1) == [NAME]
    assert int(redis("GET", GEN)) == gen + 1
    assert events(redis)[-1]["type"] == "removed"
    assert events(redis)[-1]["gen"] == str(gen + 1)
    before = dump(redis)
    assert redis.fcall("certfleet_remove", keys, NAME) == 0
    assert dump(redis) == before


def test_the_timeline_holds_the_newest_fifty_decisions(redis):
    add(redis)
    for i in range(60):
        update(redis, 1, event="status", fields=["reason", f"because {i}"])
    update(redis, 1, fields=["reason", "no news"])
    told = [json.loads(t) for t in redis("LRANGE", TIMELINE, 0, -1)]
    assert len(told) == 50
    assert [t["reason"] for t in told] == [f"because {i}" for i in range(59, 9, -1)]
    assert told[0]["type"] == "status" and int(told[0]["at"]) > 0
    assert "name" not in told[0]


NAMES, COUNTS = P + "names", P + "counts"


def counts(redis):
    flat = redis.fcall("certfleet_count", [NAMES, COUNTS])
    return {k: int(v) for k, v in zip(flat[::2], flat[1::2]) if int(v)}


def test_names_and_counts_follow_each_status(redis):
    add(redis)
    add(redis, "a.example", status="disabled", app="shop")
    assert redis("ZRANGE", NAMES, 0, -1) == ["a.example", NAME]
    assert counts(redis) == {"pending_dns": 1, "disabled": 1}
    update(redis, 5, fields=["status", "creating"])
    commit(redis, 5, SHA_A, 2000, fields=["status", "in_use"])
    assert counts(redis) == {"in_use": 1, "disabled": 1}
    assert redis.fcall("certfleet_remove", REMOVE_KEYS, NAME) == 1
    assert redis("ZRANGE", NAMES, 0, -1) == ["a.example"]
    assert counts(redis) == {"disabled": 1}


def test_records_of_before_there_were_names_get_theirs(redis):
    for name in (NAME, "a.example", "b.example"):
        add(redis, name)
    domains = [P + "domain:" + n for n in (NAME, "a.example", "gone.example",
                                           "b.example")]
    redis("DEL", NAMES, COUNTS)
    # What happens before they have them leaves the counts wrong.
    update(redis, 5, fields=["status", "creating"])
    assert redis.fcall("certfleet_fill", domains[:2]) == 2
    assert redis.fcall("certfleet_fill", domains) == 1
    assert redis.fcall("certfleet_fill", domains) == 0
    assert redis("ZRANGE", NAMES, 0, -1) == ["a.example", "b.example", NAME]
    assert counts(redis) == {"creating": 1, "pending_dns": 2}
    redis("HSET", "certfleet:meta", "schema", "1", "partitions", "1",
          "cluster_id", "abc")
    init = "certfleet_init", ["certfleet:meta"], 1, "abc"
    assert redis.fcall(*init) == ["1", "1", "abc", None]
    redis.fcall("certfleet_named", ["certfleet:meta"])
    assert redis.fcall(*init) == ["1", "1", "abc", "1"]


def test_what_is_refused_counts_nothing(redis):
    add(redis)
    update(redis, 9, fields=["status", "creating"])
    refused("FENCED", update, redis, 8, fields=["status", "in_use"])
    assert add(redis) == 0
    assert counts(redis) == {"creating": 1}


def test_counts_that_are_wrong_are_made_anew(redis):
    add(redis)
    add(redis, "a.example", status="in_use", app="shop")
    redis("DEL", COUNTS)
    redis("ZADD", NAMES, 0, "gone.example")
    assert counts(redis) == {"pending_dns": 1, "in_use": 1}
    assert redis("ZRANGE", NAMES, 0, -1) == ["a.example", NAME]


def test_a_name_that_is_added_again_is_removed_no_longer(redis):
    keys = REMOVE_KEYS
    add(redis)
    commit(redis, 1, SHA_A, 1000)
    redis.fcall("certfleet_remove", keys, NAME)
    assert redis("ZCARD", REMOVED) == 1
    add(redis)
    assert redis("ZCARD", REMOVED) == 0


# --- fencing -----------------------------------------------------------------


def test_an_older_epoch_changes_nothing_in_any_function(redis):
    add(redis)
    journal(redis, 8, "", "new")
    before = dump(redis)
    refused("FENCED", update, redis, 7, 1, "status", ["status", "in_use"])
    refused("FENCED", journal, redis, 7, "*", "finalize")
    refused("FENCED", commit, redis, 7, SHA_A, 1000)
    refused("FENCED", redis.fcall, "certfleet_abandon", [DOMAIN, ORDER], 7)
    assert dump(redis) == before


def test_a_newer_epoch_shuts_out_the_older_from_its_first_write(redis):
    add(redis)
    update(redis, 8)
    update(redis, 9)
    refused("FENCED", update, redis, 8)
    update(redis, 9)


def test_what_a_leader_has_taken_its_predecessor_changes_no_more(redis):
    add(redis)
    journal(redis, 8, "", "new")
    was = in_hand(redis, 9)
    assert was == redis.hash(DOMAIN) and was["epoch"] == "9"
    before = dump(redis)
    refused("FENCED", commit, redis, 8, SHA_A, 1000)
    refused("FENCED", journal, redis, 8, "*", "key")
    refused("FENCED", in_hand, redis, 8)
    assert in_hand(redis, 9) == was
    assert dump(redis) == before


def test_there_is_nothing_to_take_of_a_domain_that_was_removed(redis):
    assert in_hand(redis, 9) == {}
    assert redis("KEYS", "*") == []


def test_a_removed_domain_does_not_come_back(redis):
    refused("GONE", update, redis, 1, 1, "status", ["status", "in_use"])
    refused("GONE", journal, redis, 1, "", "new")
    refused("GONE", commit, redis, 1, SHA_A, 1000)
    refused("GONE", redis.fcall, "certfleet_abandon", [DOMAIN, ORDER], 1)
    assert redis("KEYS", "*") == []


# --- the journal -------------------------------------------------------------


def test_the_journal_moves_only_from_the_step_that_is_expected(redis):
    add(redis)
    begun = journal(redis, 1, "", "new", "url", "https://ca.example/o/1")
    assert begun == redis.hash(ORDER)["started_at"]
    refused("STEP", journal, redis, 1, "", "new")
    refused("STEP", journal, redis, 1, "finalize", "download")
    assert journal(redis, 1, "new", "finalize", "key", "sealed") == begun
    assert journal(redis, 2, "*", "poll") == begun
    order = redis.hash(ORDER)
    assert (order["step"], order["epoch"]) == ("poll", "2")
    assert (order["url"], order["key"]) == ("https://ca.example/o/1", "sealed")
    assert int(order["started_at"]) <= int(order["at"])
    assert redis.hash(DOMAIN)["epoch"] == "2"


def test_only_who_has_taken_the_domain_writes_its_journal(redis):
    """What it has read may have been in a Redis that another has replaced."""
    add(redis)
    journal(redis, "=8", "", "new")
    refused("FENCED", journal, redis, "=9", "*", "ordered")
    in_hand(redis, 9)
    refused("FENCED", journal, redis, "=8", "*", "ordered")
    refused("FENCED", journal, redis, "=10", "*", "ordered")
    journal(redis, "=9", "new", "ordered")
    assert redis.hash(DOMAIN)["epoch"] == redis.hash(ORDER)["epoch"] == "9"


def test_an_abandoned_order_is_gone(redis):
    add(redis)
    journal(redis, 1, "", "new")
    assert redis.fcall("certfleet_abandon", [DOMAIN, ORDER], 2) == 1
    assert redis("EXISTS", ORDER) == 0
    assert redis.fcall("certfleet_abandon", [DOMAIN, ORDER], 2) == 0
    refused("FENCED", journal, redis, 1, "", "new")


# --- commit ------------------------------------------------------------------


def test_a_commit_changes_everything_together(redis):
    add(redis)
    journal(redis, 3, "", "download")
    bundle = bytes(range(256))
    assert commit(redis, 3, SHA_A, 1000, 700, bundle=bundle,
                  fields=["status", "in_use", "serial", "01"]) == [1, 1]
    assert redis("GET", CERT, raw=True) == bundle
    assert redis("HGET", INDEX, NAME) == "1:1000:" + SHA_A
    assert redis("GET", GEN) == "1"
    assert redis("EXISTS", ORDER) == 0
    assert redis("ZSCORE", DUE, NAME) == "700"
    record = redis.hash(DOMAIN)
    assert (record["version"], record["gen"], record["epoch"]) == ("1", "1", "3")
    assert (record["status"], record["serial"]) == ("in_use", "01")
    event = events(redis)[-1]
    assert (event["type"], event["version"], event["gen"], event["sha1"],
            event["not_after"]) == ("issued", "1", "1", SHA_A, "1000")


def test_the_same_certificate_again_changes_nothing(redis):
    add(redis)
    commit(redis, 3, SHA_A, 1000)
    before = dump(redis)
    assert commit(redis, 3, SHA_A, 1000, bundle=b"other") == [1, 1]
    assert dump(redis) == before


def test_version_and_generation_grow_whatever_the_fields_say(redis):
    add(redis)
    add(redis, "other.example")
    assert commit(redis, 1, SHA_A, 1000) == [1, 1]
    assert redis.fcall(
        "certfleet_commit",
        [P + "domain:other.example", P + "cert:other.example",
         P + "order:other.example", DUE, INDEX, GEN, EVENTS,
         P + "timeline:other.example"],
        1, "other.example", SHA_C, 1000, 1, "0", "b", 0) == [1, 2]
    assert commit(redis, 1, SHA_B, 2000,
                  fields=["version", "1", "gen", "1", "epoch", "0"]) == [2, 3]
    record = redis.hash(DOMAIN)
    assert (record["version"], record["gen"], record["epoch"]) == ("2", "3", "1")


def prove(redis):
    redis("HSET", DOMAIN, "proven", redis("HGET", DOMAIN, "version"))


def test_the_previous_bundle_stays_until_the_next_proven_one(redis):
    add(redis)
    commit(redis, 1, SHA_A, 1000, bundle=b"old")
    assert redis("EXISTS", CERT + ":previous") == 0
    prove(redis)
    commit(redis, 1, SHA_B, 2000, bundle=b"never proven")
    assert redis("GET", CERT + ":previous") == "old"
    assert redis.fcall("certfleet_proven", [CERT]) == 0  # by an older leader
    commit(redis, 1, SHA_C, 3000, bundle=b"new")
    assert redis("GET", CERT + ":previous") == "old"
    prove(redis)
    commit(redis, 1, SHA_A, 4000, bundle=b"newer")
    assert redis("GET", CERT + ":previous") == "new"
    assert redis("GET", CERT) == "newer"


def test_a_certificate_that_ends_earlier_is_refused(redis):
    add(redis)
    commit(redis, 1, SHA_A, 2000)
    before = dump(redis)
    refused("WORSE", commit, redis, 1, SHA_B, 1999)
    assert dump(redis) == before
    assert commit(redis, 1, SHA_B, 2000) == [2, 2]


def test_a_certificate_that_ends_earlier_can_be_forced(redis):
    add(redis)
    commit(redis, 1, SHA_A, 2000)
    assert commit(redis, 1, SHA_B, 1000, force="1") == [2, 2]
    # Nodes take it as they take what an owner chose; the rule stays.
    entry, since = redis("HGET", INDEX, NAME).rsplit(":", 1)
    assert entry == "2:1000:" + SHA_B + ":managed"
    assert abs(int(since) - time.time() * 1000) < 5000
    assert events(redis)[-1]["since"] == since
    refused("WORSE", commit, redis, 1, SHA_C, 999)
    assert commit(redis, 1, SHA_C, 3000) == [3, 3]
    assert redis("HGET", INDEX, NAME) == f"3:3000:{SHA_C}:managed:{since}"


# --- due ---------------------------------------------------------------------


def test_what_is_claimed_is_put_back_for_later(redis):
    for at, name in ((100, "a"), (200, "b"), (300, "c"), (9999, "later")):
        redis("ZADD", DUE, at, name)
    assert redis.fcall("certfleet_claim", [DUE], 1000, 2, 500) == ["a", "b"]
    assert redis.fcall("certfleet_claim", [DUE], 1000, 10, 500) == ["c"]
    assert redis.fcall("certfleet_claim", [DUE], 1000, 10, 500) == []
    assert redis("ZSCORE", DUE, "a") == "1500"
    assert redis.fcall("certfleet_claim", [DUE], 1500, 10, 500) == ["a", "b", "c"]


# --- what is told ------------------------------------------------------------


def subscribe(server, *channels):
    listener = Resp(server)
    listener.send("SUBSCRIBE", *channels)
    for _ in channels:
        listener.read()
    return listener


def test_a_challenge_is_stored_and_heard_when_published_and_withdrawn(redis, server):
    listener = subscribe(server, "certfleet:challenges")
    key = "certfleet:challenge:tok"
    redis.fcall("certfleet_publish", [key], "tok", "tok.thumb", 60,
                "certfleet:challenges")
    assert redis("GET", key) == "tok.thumb"
    assert 0 < redis("TTL", key) <= 60
    redis.fcall("certfleet_withdraw", [key], "tok", "certfleet:challenges")
    assert redis("EXISTS", key) == 0
    redis.fcall("certfleet_thumbprint", ["certfleet:challenge:thumbprint"],
                "thumb", "certfleet:challenges")
    assert redis("GET", "certfleet:challenge:thumbprint") == "thumb"
    heard = [listener.read()[2] for _ in range(3)]
    assert heard == ["tok tok.thumb", "tok", "= thumb"]
    listener.close()


def test_a_beat_is_heard_when_its_generation_is_news(redis, server):
    listener = subscribe(server, "certfleet:acks")

    def beat(gen, *fields):
        return redis.fcall("certfleet_beat", [NODE], "n1", 1234, 15000,
                           "certfleet:acks", gen, *fields)

    beat(5, "served", "3", "errors", "x")
    beat(5, "served", "4")
    beat(6, "served", "5")
    assert [listener.read()[2] for _ in range(2)] == ["n1 5", "n1 6"]
    assert redis.hash(NODE) == {"id": "n1", "at": "1234", "gen": "6", "served": "5"}
    assert 0 < redis("PTTL", NODE) <= 15000
    listener.close()


# --- the rest ----------------------------------------------------------------


def test_the_fleets_meta_record_is_made_once(redis):
    first = redis.fcall("certfleet_init", ["certfleet:meta"], 1, "abc")
    assert first == ["1", "1", "abc", "1"]
    assert redis.fcall("certfleet_init", ["certfleet:meta"], 64, "xyz") == first


def test_records_come_as_one_msgpack_map_each(redis):
    add(redis, status="in_use", app="shop")
    missing = P + "domain:missing.example"
    found = redis("FCALL_RO", "certfleet_records", 2, DOMAIN, missing, raw=True)
    assert found[1] is None
    fields, packed = {}, found[0]
    assert packed[0] == 0x80 | 4  # a map of four
    at = 1
    texts = []
    while at < len(packed):
        n = packed[at] & 0x1F  # short strings only
        assert packed[at] & 0xE0 == 0xA0
        texts.append(packed[at + 1:at + 1 + n].decode())
        at += 1 + n
    fields = dict(zip(texts[::2], texts[1::2]))
    assert fields == redis.hash(DOMAIN)


# --- what owners change --------------------------------------------------------


FAR = int((time.time() + 90 * 86400) * 1000)


def custom_set(redis, sha1=SHA_C, not_after=FAR - 5000, bundle=b"own"):
    return redis.fcall("certfleet_custom_set", OWNER_KEYS, NAME, sha1,
                       not_after, bundle, 1, "custom_subject", "/CN=own")


def custom_clear(redis, epoch="", sha1=SHA_C):
    return redis.fcall("certfleet_custom_clear", OWNER_KEYS, NAME, epoch, sha1)


def letsencrypt(redis, on):
    return redis.fcall("certfleet_letsencrypt", OWNER_KEYS, NAME, on)


def managed(redis, sha1=SHA_A, not_after=FAR):
    """A certificate by the leader, with the fields that it writes."""
    return commit(redis, 1, sha1, not_after, fields=[
        "sha1", sha1, "not_after", str(not_after), "renew_at", str(not_after)])


def index_of(redis):
    return redis.hash(INDEX).get(NAME)


def test_a_custom_certificate_is_served_though_it_ends_earlier(redis):
    add(redis)
    managed(redis)
    assert custom_set(redis) == [2, 2]
    record = redis.hash(DOMAIN)
    since = record["changed_at"]
    assert index_of(redis) == f"2:{FAR - 5000}:{SHA_C}:custom:{since}"
    assert redis("GET", CUSTOM) == "own"
    assert (record["version"], record["custom_sha1"], record["sha1"],
            record["custom_subject"]) == ("2", SHA_C, SHA_A, "/CN=own")
    event = events(redis)[-1]
    assert (event["type"], event["version"], event["gen"], event["since"]) == (
        "custom", "2", "2", since)
    assert abs(float(redis("ZSCORE", DUE, NAME)) - time.time() * 1000) < 5000


def test_the_same_custom_certificate_again_changes_no_generation(redis):
    add(redis)
    assert custom_set(redis) == [1, 1]
    assert custom_set(redis) == [1, 1]
    assert index_of(redis).startswith("1:")


def test_a_custom_certificate_needs_its_domain(redis):
    refused("GONE", custom_set, redis)
    refused("GONE", custom_clear, redis)
    refused("GONE", letsencrypt, redis, "0")
    assert redis("KEYS", "*") == []


def test_the_managed_one_is_only_kept_while_a_custom_one_serves(redis):
    add(redis)
    custom_set(redis)
    before = index_of(redis)
    assert managed(redis) == [1, 1]
    assert index_of(redis) == before
    assert redis("GET", CERT) == "bundle"
    assert redis.hash(DOMAIN)["sha1"] == SHA_A
    assert "gen" not in events(redis)[-1]


def test_the_managed_one_follows_at_once_when_there_is_one(redis):
    add(redis)
    managed(redis)
    custom_set(redis)
    assert custom_clear(redis) == 1
    record = redis.hash(DOMAIN)
    assert index_of(redis) == f"3:{FAR}:{SHA_A}:managed:{record['changed_at']}"
    assert redis("EXISTS", CUSTOM) == 0
    assert not [f for f in record if f.startswith("custom_")]
    assert custom_clear(redis) == 0
    assert managed(redis, SHA_B, FAR + 1) == [4, 4]
    assert index_of(redis).split(":")[3:] == ["managed", record["changed_at"]]
    assert events(redis)[-1]["since"] == record["changed_at"]


def test_a_custom_one_stays_until_the_managed_one_is_there(redis):
    add(redis)
    custom_set(redis)
    assert custom_clear(redis) == 2
    assert index_of(redis).startswith(f"1:{FAR - 5000}:{SHA_C}:custom")
    assert "custom_left_at" in redis.hash(DOMAIN)
    assert custom_clear(redis, 5) == 0, "there is nothing to follow it"
    managed(redis)
    assert index_of(redis).startswith("1:")
    refused("FENCED", custom_clear, redis, 0)
    assert custom_clear(redis, 5, SHA_A) == 0, "the owner has a newer one"
    assert custom_clear(redis, 5) == 1
    assert index_of(redis).startswith(f"2:{FAR}:{SHA_A}:managed")


def test_an_upload_takes_back_its_removal(redis):
    add(redis)
    custom_set(redis)
    custom_clear(redis)
    custom_set(redis)
    assert "custom_left_at" not in redis.hash(DOMAIN)


def test_a_managed_one_that_has_expired_does_not_follow(redis):
    add(redis)
    managed(redis, not_after=1000)
    custom_set(redis)
    assert custom_clear(redis) == 2


def test_without_letsencrypt_nothing_follows(redis):
    add(redis, letsencrypt="0")
    custom_set(redis)
    assert custom_clear(redis) == 1
    assert index_of(redis) is None
    assert redis("ZRANGE", REMOVED, 0, -1) == [NAME]
    event = events(redis)[-1]
    assert (event["type"], event["gen"]) == ("withdrawn", "2")


def test_switched_off_it_is_kept_but_not_served_and_comes_back(redis):
    add(redis)
    managed(redis)
    assert letsencrypt(redis, "0") == 1
    assert letsencrypt(redis, "0") == 0
    assert index_of(redis) is None
    assert redis("ZRANGE", REMOVED, 0, -1) == [NAME]
    assert redis("GET", CERT) == "bundle"
    assert letsencrypt(redis, "1") == 1
    assert index_of(redis).startswith(f"2:{FAR}:{SHA_A}:managed")
    assert redis("ZRANGE", REMOVED, 0, -1) == []


def test_an_order_that_ends_after_the_switch_is_not_served(redis):
    add(redis)
    letsencrypt(redis, "0")
    assert managed(redis) == [0, 0]
    assert index_of(redis) is None


def test_switched_on_without_a_good_certificate_it_begins_anew(redis):
    add(redis)
    managed(redis, not_after=1000)
    letsencrypt(redis, "0")
    letsencrypt(redis, "1")
    assert index_of(redis) is None
    assert "sha1" not in redis.hash(DOMAIN)
    assert managed(redis, SHA_B) == [2, 3]


def test_switching_leaves_a_custom_certificate_alone(redis):
    add(redis)
    custom_set(redis)
    before = index_of(redis)
    letsencrypt(redis, "0")
    assert index_of(redis) == before
    letsencrypt(redis, "1")
    assert index_of(redis) == before


def test_switched_off_a_custom_one_that_was_leaving_goes(redis):
    add(redis)
    custom_set(redis)
    custom_clear(redis)
    letsencrypt(redis, "0")
    assert index_of(redis) is None
    assert redis("EXISTS", CUSTOM) == 0


def test_canonical_is_no_matter_for_the_leader(redis):
    def canonical(on):
        return redis.fcall("certfleet_canonical", OWNER_KEYS, NAME, on)

    refused("GONE", canonical, "1")
    add(redis)
    due = redis("ZSCORE", DUE, NAME)
    assert canonical("0") == 0
    assert canonical("1") == 1
    assert canonical("1") == 0
    assert redis.hash(DOMAIN)["canonical"] == "1"
    # What the leader has decided meanwhile still holds.
    update(redis, 5, fields=["status", "creating"], delete=["changed_at"])
    assert redis("ZSCORE", DUE, NAME) == due
    assert json.loads(redis("LRANGE", TIMELINE, 0, -1)[-2])["type"] == "canonical"


def test_what_was_decided_before_the_owners_change_is_refused(redis):
    add(redis)
    update(redis, 5, fields=["status", "creating"], delete=["changed_at"])
    letsencrypt(redis, "0")
    changed = redis.hash(DOMAIN)["changed_at"]
    before = dump(redis)
    refused("CHANGED", update, redis, 5, fields=["status", "in_use"],
            delete=["changed_at"])
    refused("CHANGED", update, redis, 5,
            fields=["status", "in_use", "changed_at", "12"])
    assert dump(redis) == before
    update(redis, 5, fields=["status", "disabled", "changed_at", changed])
    letsencrypt(redis, "1")
    assert int(redis.hash(DOMAIN)["changed_at"]) > int(changed)


def test_a_commit_never_turns_the_owners_change_back(redis):
    add(redis)
    custom_set(redis)
    changed = redis.hash(DOMAIN)["changed_at"]
    commit(redis, 1, SHA_A, FAR, fields=["changed_at", "1", "version", "9"])
    record = redis.hash(DOMAIN)
    assert (record["changed_at"], record["version"]) == (changed, "1")


def test_a_removed_domain_takes_its_custom_certificate_along(redis):
    add(redis)
    custom_set(redis)
    assert redis.fcall("certfleet_remove", REMOVE_KEYS, NAME) == 1
    assert redis("EXISTS", CUSTOM) == 0


def revoke(redis, reason="superseded"):
    return redis.fcall("certfleet_revoke", OWNER_KEYS, NAME, reason)


def revoked(redis, sha1, epoch=1):
    return redis.fcall("certfleet_revoked", OWNER_KEYS, NAME, epoch, sha1)


def test_a_revoked_certificate_serves_until_a_shorter_one_follows(redis):
    add(redis)
    assert revoke(redis) == 0, "there is none"
    managed(redis)
    assert revoke(redis) == 1
    assert redis.hash(DOMAIN)["revoke"] == "superseded"
    assert revoked(redis, SHA_A) == 1
    record = redis.hash(DOMAIN)
    assert "revoke" not in record
    assert int(record["renew_at"]) <= time.time() * 1000 + 1000
    assert index_of(redis).split(":")[2] == SHA_A
    assert managed(redis, SHA_B, FAR - 9000) == [2, 2]
    assert events(redis)[-1]["since"] == record["changed_at"]


def test_a_revoked_certificate_that_is_not_served_is_forgotten(redis):
    add(redis)
    managed(redis)
    custom_set(redis)
    revoke(redis)
    refused("FENCED", revoked, redis, SHA_A, 0)
    assert revoked(redis, SHA_A) == 1
    assert redis("EXISTS", CERT) == 0
    assert "sha1" not in redis.hash(DOMAIN)
    assert index_of(redis).split(":")[2] == SHA_C


def test_a_revocation_of_what_was_replaced_meanwhile_forgets_nothing(redis):
    add(redis)
    managed(redis)
    revoke(redis)
    managed(redis, SHA_B, FAR + 1)
    assert revoked(redis, SHA_A) == 0
    record = redis.hash(DOMAIN)
    assert record["sha1"] == SHA_B and "revoke" not in record


def test_the_library_tells_its_version(redis):
    text = LIBRARY.read_text()
    assert "local VERSION = %d\n" % redis.fcall("certfleet_version", []) in text


# --- an app's variables ------------------------------------------------------

ENV = "certfleet:app:shop:env"


def test_variables_are_changed_by_who_has_seen_the_old_ones(redis):
    assert redis.fcall("certfleet_env_put", [ENV], "", "one") == 1
    refused("CHANGED", redis.fcall, "certfleet_env_put", [ENV], "", "two")
    assert redis.fcall("certfleet_env_put", [ENV], "one", "two") == 1
    assert redis("GET", ENV) == "two"
    redis.fcall("certfleet_env_put", [ENV], "two", "")
    assert redis("EXISTS", ENV) == 0


def env_changed(redis):
    return redis.fcall("certfleet_env_changed", [DOMAIN, DUE, EVENTS, TIMELINE],
                       NAME)


def test_a_wildcard_that_waits_is_due_when_its_variables_change(redis):
    assert env_changed(redis) == 0
    far = int(time.time() * 1000) + 10 ** 6
    add(redis, next_at=far, status="action_required", app="shop")
    assert env_changed(redis) == 1
    assert int(float(redis("ZSCORE", DUE, NAME))) < far
    assert events(redis)[-1]["type"] == "env"
    # What the leader decided before is not written any more.
    refused("CHANGED", update, redis, 5, far, delete=("changed_at",))


@pytest.mark.parametrize(("attempts", "due"), (("0", 0), ("3", 1)))
def test_a_wildcard_in_use_is_due_only_after_a_failure(redis, attempts, due):
    add(redis, next_at=77, status="in_use", app="shop", attempts=attempts)
    assert env_changed(redis) == due
    assert (float(redis("ZSCORE", DUE, NAME)) != 77) == bool(due)


# --- certificates that were made elsewhere ------------------------------------------


def take(redis, sha1, not_after, app="shop", dry="", bundle=b"moved",
         fields=("serial", "0A")):
    return redis.fcall("certfleet_import", OWNER_KEYS, NAME, app, sha1,
                       not_after, dry, bundle, len(fields) // 2, *fields)


IN_30_DAYS, IN_60_DAYS = (str(int(time.time() * 1000) + n * 86400000) for n in (30, 60))


def test_an_imported_certificate_makes_its_domain(redis):
    assert take(redis, SHA_A, IN_30_DAYS, dry="1") == "imported"
    assert dump(redis) == {}
    assert take(redis, SHA_A, IN_30_DAYS) == "imported"
    record = redis.hash(DOMAIN)
    assert (record["app"], record["sha1"], record["serial"], record["version"],
            record["letsencrypt"], record["status"]) == \
        ("shop", SHA_A, "0A", "1", "1", "creating")
    assert redis("HGET", INDEX, NAME) == f"1:{IN_30_DAYS}:{SHA_A}"
    assert redis("GET", CERT) == "moved" and redis("ZCARD", DUE) == 1
    assert redis("ZCARD", P + "names") == 1
    assert redis.hash(P + "counts") == {"creating": "1"}
    assert events(redis)[-1]["type"] == "imported"


def test_an_import_replaces_nothing_that_ends_later(redis):
    take(redis, SHA_A, IN_60_DAYS)
    before = dump(redis)
    assert take(redis, SHA_A, IN_60_DAYS) == "unchanged"
    assert take(redis, SHA_B, IN_30_DAYS) == "worse"
    assert take(redis, SHA_B, IN_60_DAYS) == "worse"
    refused("TAKEN", take, redis, SHA_B, str(int(IN_60_DAYS) + 1), app="blog")
    assert take(redis, SHA_B, str(int(IN_60_DAYS) + 1), dry="1") == "replaced"
    assert dump(redis) == before
    assert take(redis, SHA_B, str(int(IN_60_DAYS) + 1)) == "replaced"
    assert redis.hash(DOMAIN)["version"] == "2"
    assert redis("GET", CERT + ":previous") == "moved"


def test_an_import_replaces_what_was_revoked_or_has_expired(redis):
    take(redis, SHA_A, IN_60_DAYS)
    redis.fcall("certfleet_revoked", OWNER_KEYS, NAME, 1, SHA_A)
    assert take(redis, SHA_A, IN_60_DAYS) == "unchanged"
    assert take(redis, SHA_B, IN_30_DAYS) == "replaced"
    redis("HSET", DOMAIN, "not_after", "1000")
    assert take(redis, SHA_C, IN_30_DAYS) == "imported"


def test_an_import_waits_behind_a_custom_certificate(redis):
    add(redis)
    redis.fcall("certfleet_custom_set", OWNER_KEYS, NAME, SHA_A, IN_60_DAYS,
                b"own", 0)
    index = redis("HGET", INDEX, NAME)
    assert take(redis, SHA_B, IN_30_DAYS) == "kept"
    assert redis("HGET", INDEX, NAME) == index
    assert redis.fcall("certfleet_custom_clear", OWNER_KEYS, NAME, "") == 1
    assert SHA_B in redis("HGET", INDEX, NAME)


def test_an_import_makes_what_the_leader_has_read_stale(redis):
    add(redis)
    take(redis, SHA_A, IN_30_DAYS)
    refused("CHANGED", update, redis, 5, fields=("status", "pending_dns"),
            delete=("changed_at",))


def test_an_import_leaves_an_order_in_flight_alone(redis):
    add(redis)
    journal(redis, 5, "", "new")
    assert take(redis, SHA_A, IN_30_DAYS) == "imported"
    assert redis("HGET", ORDER, "step") == "new"
    assert commit(redis, 5, SHA_B, IN_60_DAYS)[0] == 2
# --- what Redis had lost ------------------------------------------------------

RESTORE_KEYS = OWNER_KEYS + [ORDER]
TAKEN, THERE, NOT_WANTED = 1, 2, 0


def restore(redis, sha1, not_after, epoch=1, kind="managed", since=0,
            bundle=b"restored"):
    born = ["app", "shop", "letsencrypt", "1", "created_at", "5"]
    return redis.fcall("certfleet_restore", RESTORE_KEYS, epoch, NAME, kind,
                       sha1, not_after, since, bundle, len(born) // 2, *born,
                       "custom_sha1" if kind == "custom" else "sha1", sha1)


def test_a_lost_domain_comes_back_with_its_certificate(redis):
    assert restore(redis, SHA_A, 9000, epoch=7) == [TAKEN, 1, 1]
    record = redis.hash(DOMAIN)
    assert (record["app"], record["sha1"], record["status"]) == (
        "shop", SHA_A, "creating")
    assert (record["epoch"], record["created_at"]) == ("7", "5")
    assert redis("GET", CERT) == "restored"
    assert redis("HGET", INDEX, NAME) == f"1:9000:{SHA_A}"
    assert redis("ZRANGE", P + "names", 0, -1) == [NAME]
    assert redis.hash(P + "counts") == {"creating": "1"}
    assert float(redis("ZSCORE", DUE, NAME)) <= time.time() * 1000
    assert events(redis)[-1]["type"] == "restored"
    before = events(redis)
    assert restore(redis, SHA_A, 9000, epoch=8) == [THERE, 1, 1]
    assert events(redis) == before


def test_a_newer_one_comes_back_and_an_older_one_does_not(redis):
    add(redis)
    commit(redis, 3, SHA_B, 8000, fields=("serial", "22"))
    journal(redis, 3, "", "new")
    assert restore(redis, SHA_A, 7000, 3)[0] == NOT_WANTED
    assert redis("EXISTS", ORDER) == 1
    assert restore(redis, SHA_C, 9000, 3) == [TAKEN, 2, 2]
    assert redis("EXISTS", ORDER) == 0, "its order is not needed any more"
    assert redis("HGET", INDEX, NAME) == f"2:9000:{SHA_C}"
    # The app is the record's.
    redis("HSET", DOMAIN, "app", "other")
    restore(redis, SHA_A, 9500, 3)
    assert redis("HGET", DOMAIN, "app") == "other"


def test_a_stale_leader_takes_nothing_back(redis):
    add(redis)
    commit(redis, 3, SHA_B, 8000)
    before = dump(redis)
    refused("FENCED", restore, redis, SHA_A, 9000, 2)
    assert dump(redis) == before


def test_what_its_owner_has_done_since_counts(redis):
    add(redis)
    commit(redis, 3, SHA_B, 8000)
    # Switched off, and removed.
    redis("HSET", DOMAIN, "letsencrypt", "0")
    assert restore(redis, SHA_A, 9000, 3)[0] == NOT_WANTED
    redis.fcall("certfleet_remove", REMOVE_KEYS, NAME)
    before = dump(redis)
    assert restore(redis, SHA_A, 9000, 3)[0] == NOT_WANTED
    assert dump(redis) == before


def test_the_later_choice_of_an_owner_wins_whatever_the_dates(redis):
    add(redis)
    commit(redis, 3, SHA_B, 8000)
    assert restore(redis, SHA_A, 7000, 3, "custom", since=100)[0] == TAKEN
    assert redis("HGET", INDEX, NAME) == f"2:7000:{SHA_A}:custom:100"
    assert redis("GET", CUSTOM) == "restored"
    assert redis("HGET", DOMAIN, "custom_sha1") == SHA_A
    assert restore(redis, SHA_C, 9000, 3)[0] == NOT_WANTED
    assert restore(redis, SHA_C, 9000, 3, since=101)[0] == TAKEN
    assert redis("HGET", INDEX, NAME) == f"3:9000:{SHA_C}:managed:101"
    assert not redis("HEXISTS", DOMAIN, "custom_sha1")
    assert not redis("EXISTS", CUSTOM)



def test_what_is_sealed_anew_replaces_only_what_was_seen(redis):
    redis("SET", "a", "old", "PX", "60000")
    assert redis.fcall("certfleet_reseal", ["a"], "other", "new") == 0
    assert redis("GET", "a") == "old"
    assert redis.fcall("certfleet_reseal", ["a"], "old", "new") == 1
    assert redis("GET", "a") == "new" and redis("PTTL", "a") > 0
    redis("HSET", "h", "csrkey", "old", "step", "new")
    assert redis.fcall("certfleet_reseal", ["h"], "other", "x", "csrkey") == 0
    assert redis.fcall("certfleet_reseal", ["h"], "old", "x", "csrkey") == 1
    assert redis.fcall("certfleet_reseal", ["h"], "old", "x", "first") == 0
    assert redis("HGETALL", "h") == ["csrkey", "x", "step", "new"]
    assert redis.fcall("certfleet_reseal", ["gone"], "old", "x") == 0
    assert redis("EXISTS", "gone") == 0


def renew(redis):
    return redis.fcall("certfleet_renew", OWNER_KEYS, NAME)


def test_a_renewal_that_is_asked_for_is_due_at_once(redis):
    refused("GONE", renew, redis)
    add(redis)
    assert renew(redis) == 1
    assert "renew_at" not in redis.hash(DOMAIN), "there is nothing to renew"
    managed(redis)
    redis("ZREM", DUE, NAME)
    changed = redis.hash(DOMAIN)["changed_at"]
    before = time.time() * 1000 - 1
    assert renew(redis) == 1
    record = redis.hash(DOMAIN)
    assert before <= float(record["renew_at"]) <= time.time() * 1000 + 1
    assert before <= float(redis("ZSCORE", DUE, NAME))
    # What the leader has decided upon before is refused.
    assert int(record["changed_at"]) > int(changed)
    assert events(redis)[-1]["type"] == "renew"
