"""common/library.lua on a real Redis: a canary first, and the way back."""

from lib_functions import LIBRARY, redis, server  # noqa: F401
from test_library import CERT, COMMIT_KEYS, CUSTOM, DOMAIN, DUE, EVENTS, GEN
from test_library import INDEX, NAME, ORDER, OWNER_KEYS, P, REMOVE_KEYS, SHA_A
from test_library import SHA_B, SHA_C, TIMELINE, add, commit, dump, events
from test_library import journal, prove, refused

LIST = P + "canary"
BESIDE = [CERT + ":next", CERT + ":staged"]


def stage(redis, epoch, sha1, not_after, bundle=b"staged", fields=(),
          force="0"):
    return redis.fcall("certfleet_stage", COMMIT_KEYS, epoch, NAME, sha1,
                       not_after, 5000, force, bundle, len(fields) // 2,
                       *fields)


def promote(redis, epoch, sha1):
    return redis.fcall("certfleet_promote", COMMIT_KEYS, epoch, NAME, sha1)


def canary(redis, epoch, sha1, node, why="", tried=""):
    return redis.fcall("certfleet_canary",
                       [DOMAIN, CERT, DUE, EVENTS, TIMELINE], epoch, NAME,
                       sha1, node, 7000, why, tried)


def rollback(redis, bundle, sha1=SHA_A, not_after=1000):
    return redis.fcall("certfleet_rollback", OWNER_KEYS, NAME, sha1, not_after,
                       bundle, "uid 0", "why", 2, "sha1", sha1, "not_after",
                       not_after)


def test_what_is_staged_changes_nothing_that_nodes_look_at(redis):
    add(redis)
    commit(redis, 1, SHA_A, 1000, bundle=b"old", fields=["serial", "01"])
    journal(redis, 1, "", "download")
    index, gen = redis.hash(INDEX), redis("GET", GEN)
    assert stage(redis, 2, SHA_B, 2000, fields=["serial", "02"]) == [1, 1, 1]
    assert (redis.hash(INDEX), redis("GET", GEN)) == (index, gen)
    assert redis("GET", CERT) == "old"
    assert redis("EXISTS", ORDER) == 0
    record = redis.hash(DOMAIN)
    assert (record["serial"], record["canary"], record["epoch"]) == \
        ("01", "-", "2")
    assert redis("GET", CERT + ":next") == "staged"
    assert redis("HLEN", LIST) == 0  # nobody is to prove it yet
    assert "gen" not in events(redis)[-1]
    before = dump(redis)
    assert stage(redis, 2, SHA_B, 2000) == [1, 1, 1]
    assert dump(redis) == before
    refused("FENCED", stage, redis, 1, SHA_C, 3000)
    refused("WORSE", stage, redis, 2, SHA_C, 500)


def test_a_canary_is_told_and_what_it_proves_is_committed(redis):
    add(redis)
    commit(redis, 1, SHA_A, 1000, bundle=b"old")
    prove(redis)
    stage(redis, 2, SHA_B, 2000, fields=["serial", "02", "sha1", SHA_B])
    refused("STEP", canary, redis, 2, SHA_C, "n1")
    since = canary(redis, 2, SHA_B, "n1")
    assert redis("HGET", LIST, NAME) == f"{SHA_B}:{since}:n1"
    assert redis("HGET", DOMAIN, "canary") == "n1"
    refused("STEP", promote, redis, 2, SHA_C)
    refused("FENCED", promote, redis, 1, SHA_B)
    assert promote(redis, 2, SHA_B) == [2, 2]
    assert redis("GET", CERT) == "staged"
    assert redis("GET", CERT + ":previous") == "old"
    assert redis("HGET", INDEX, NAME) == "2:2000:" + SHA_B
    assert redis("HGET", DOMAIN, "serial") == "02"
    assert redis("HEXISTS", DOMAIN, "canary") == 0
    assert redis("EXISTS", LIST, *BESIDE) == 0


def test_one_that_is_stopped_is_on_no_list_and_can_go_on(redis):
    add(redis)
    stage(redis, 2, SHA_B, 2000)
    canary(redis, 2, SHA_B, "n1")
    canary(redis, 2, SHA_B, "", why="HAProxy says no")
    assert redis("EXISTS", LIST) == 0
    assert redis("HGET", DOMAIN, "canary") == "-"
    assert events(redis)[-1]["type"] == "stopped"
    assert events(redis)[-1]["reason"] == "HAProxy says no"
    canary(redis, 2, SHA_B, "n2", tried="n1")
    assert redis("HGET", CERT + ":staged", "tried") == "n1"
    assert promote(redis, 2, SHA_B) == [1, 1]


def test_a_domain_that_goes_takes_what_is_staged_along(redis):
    add(redis)
    stage(redis, 2, SHA_B, 2000)
    canary(redis, 2, SHA_B, "n1")
    assert redis.fcall("certfleet_remove", REMOVE_KEYS, NAME) == 1
    assert redis("EXISTS", LIST, *BESIDE) == 0
    add(redis)
    stage(redis, 2, SHA_B, 2000)
    redis.fcall("certfleet_unstaged", [DOMAIN, CERT], 2)
    assert redis("EXISTS", LIST, *BESIDE) == 0
    assert redis("HEXISTS", DOMAIN, "canary") == 0


def test_what_would_only_be_kept_is_not_staged(redis):
    add(redis)
    redis("HSET", DOMAIN, "letsencrypt", "0")
    stage(redis, 2, SHA_B, 2000)
    assert redis("GET", CERT) == "staged"
    assert redis("EXISTS", *BESIDE) == 0


def test_the_previous_bundle_comes_back_as_a_choice(redis):
    add(redis)
    commit(redis, 1, SHA_A, 1000, bundle=b"old")
    prove(redis)
    commit(redis, 1, SHA_B, 2000, bundle=b"bad",
           fields=["ari_poll_at", "5", "attempts", "3"])
    journal(redis, 1, "", "finalize")
    stage_keys = redis("EXISTS", *BESIDE)
    assert rollback(redis, b"old") == [3, 3]
    assert redis("GET", CERT) == "old"
    assert redis("GET", CERT + ":previous") == "bad"
    record = redis.hash(DOMAIN)
    since = record["rolled_back_at"]
    assert redis("HGET", INDEX, NAME) == f"3:1000:{SHA_A}:managed:{since}"
    assert (record["sha1"], record["version"], record["status"]) == \
        (SHA_A, "3", "creating")
    assert "ari_poll_at" not in record and "attempts" not in record
    assert redis("EXISTS", ORDER) == stage_keys == 0
    told = events(redis)[-1]
    assert (told["type"], told["by"], told["reason"], told["left"]) == \
        ("rollback", "uid 0", "why", SHA_B)
    # What was on its way meanwhile is not wanted; what is ordered later is.
    refused("GONE", commit, redis, 1, SHA_C, 3000)
    refused("GONE", stage, redis, 1, SHA_C, 3000)
    journal(redis, 1, "", "download")
    assert commit(redis, 1, SHA_C, 3000) == [4, 4]
    assert redis("HEXISTS", DOMAIN, "rolled_back_at") == 0


def test_what_is_ordered_after_a_rollback_goes_by_a_canary_too(redis):
    add(redis)
    commit(redis, 1, SHA_A, 1000, bundle=b"old")
    prove(redis)
    commit(redis, 1, SHA_B, 2000, bundle=b"bad")
    rollback(redis, b"old")
    journal(redis, 1, "", "download")
    assert stage(redis, 1, SHA_C, 3000) == [3, 3, 1]
    assert promote(redis, 1, SHA_C) == [4, 4]
    assert redis("GET", CERT) == "staged"


def test_there_is_no_way_back_to_another_or_a_revoked_one(redis):
    refused("GONE", rollback, redis, b"old")
    add(redis)
    commit(redis, 1, SHA_A, 1000, bundle=b"old", fields=["sha1", SHA_A])
    refused("CHANGED", rollback, redis, b"old")
    redis.fcall("certfleet_revoked", OWNER_KEYS, NAME, 1, SHA_A)
    commit(redis, 1, SHA_B, 2000, bundle=b"new")
    assert redis("EXISTS", CERT + ":previous") == 0
    redis("SET", CERT + ":previous", "old")
    redis("HSET", DOMAIN, "letsencrypt", "0")
    refused("BUSY", rollback, redis, b"old")
    redis("HSET", DOMAIN, "letsencrypt", "1", "custom_sha1", SHA_C)
    redis("SET", CUSTOM, "own")
    # Before an owner's own was what is still where the CA's are.
    refused("CHANGED", rollback, redis, b"old")
