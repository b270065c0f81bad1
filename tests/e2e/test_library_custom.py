"""common/library.lua on a real Redis: uploads and imports by way of a canary."""

from lib_functions import LIBRARY, redis, server  # noqa: F401
from test_library import CERT, CUSTOM, DOMAIN, DUE, EVENTS, FAR, GEN, IN_30_DAYS
from test_library import IN_60_DAYS, INDEX, NAME, ORDER, OWNER_KEYS, REMOVE_KEYS
from test_library import SHA_A, SHA_B, SHA_C, TIMELINE, add, custom_clear
from test_library import custom_set, events, index_of, journal, letsencrypt
from test_library import managed, refused
from test_library_rollout import LIST, canary, promote, stage

SHA_D = "D" * 40
BESIDE = [CUSTOM + ":next", CUSTOM + ":staged"]


def upload(redis, sha1=SHA_C, bundle=b"own", subject="/CN=own"):
    return redis.fcall("certfleet_custom_stage", OWNER_KEYS, NAME, sha1,
                       FAR - 5000, bundle, 1, "custom_subject", subject)


def try_it(redis, epoch, sha1, node, next_at=7000, why=""):
    return redis.fcall("certfleet_canary",
                       [DOMAIN, CUSTOM, DUE, EVENTS, TIMELINE], epoch, NAME,
                       sha1, node, next_at, why, "", "custom")


def prove_it(redis, epoch, sha1):
    return redis.fcall("certfleet_custom_promote", OWNER_KEYS, NAME, epoch,
                       sha1)


def back(redis, bundle, sha1, custom):
    return redis.fcall("certfleet_rollback", OWNER_KEYS, NAME, sha1, FAR,
                       bundle, "uid 0", "", 0, *(["custom"] if custom else []))


def proven(redis):
    redis("HSET", DOMAIN, "proven", redis("HGET", DOMAIN, "version"))


def move(redis, sha1, not_after, bundle=b"moved", function="import_stage",
         dry=""):
    return redis.fcall("certfleet_" + function, OWNER_KEYS, NAME, "shop", sha1,
                       not_after, dry, bundle, 1, "serial", "0A")


def test_an_upload_on_trial_changes_nothing_that_nodes_look_at(redis):
    refused("GONE", upload, redis)
    add(redis)
    managed(redis)
    index, gen = redis.hash(INDEX), redis("GET", GEN)
    assert upload(redis) == [1, 1, 1]
    assert (redis.hash(INDEX), redis("GET", GEN)) == (index, gen)
    record = redis.hash(DOMAIN)
    assert record["custom_trial_at"] == "1" and record["status"] == "creating"
    assert "custom_sha1" not in record and redis("EXISTS", CUSTOM) == 0
    assert redis("GET", CUSTOM + ":next") == "own"
    assert events(redis)[-1]["type"] == "staged"
    since = try_it(redis, 2, SHA_C, "n1")
    assert redis("HGET", LIST, NAME) == f"{SHA_C}:{since}:n1:custom"
    refused("STEP", prove_it, redis, 2, SHA_B)
    refused("FENCED", prove_it, redis, 1, SHA_C)
    assert prove_it(redis, 2, SHA_C) == [2, 2]
    assert ":custom:" in index_of(redis) and SHA_C in index_of(redis)
    record = redis.hash(DOMAIN)
    assert (record["custom_sha1"], record["custom_subject"]) == \
        (SHA_C, "/CN=own")
    assert "custom_trial_at" not in record
    assert redis("GET", CUSTOM) == "own"
    assert redis("EXISTS", LIST, *BESIDE) == 0


def test_a_stopped_upload_says_until_when_and_the_newest_wins(redis):
    add(redis)
    upload(redis)
    try_it(redis, 2, SHA_C, "n1")
    try_it(redis, 2, SHA_C, "", next_at=9000, why="no")
    assert redis("HGET", DOMAIN, "custom_trial_at") == "9000"
    assert redis("HGET", CUSTOM + ":staged", "stops") == "1"
    assert redis("EXISTS", LIST) == 0
    redis("HSET", DOMAIN, "action", "do", "last_error", "no")
    try_it(redis, 2, SHA_C, "n2")
    assert redis("HGET", DOMAIN, "custom_trial_at") == "1"
    upload(redis, SHA_D, b"newer")
    assert redis("EXISTS", LIST) == 0
    assert "action" not in redis.hash(DOMAIN)
    refused("STEP", prove_it, redis, 2, SHA_C)
    refused("STEP", try_it, redis, 2, SHA_C, "n1")
    prove_it(redis, 2, SHA_D)
    assert redis("GET", CUSTOM) == "newer"


def test_what_is_served_again_by_its_owner_ends_the_trial(redis):
    add(redis)
    custom_set(redis)
    upload(redis, SHA_D)
    assert upload(redis, SHA_C) == [1, 1]
    assert redis("EXISTS", *BESIDE) == 0
    assert "custom_trial_at" not in redis.hash(DOMAIN)
    upload(redis, SHA_D)
    custom_set(redis, SHA_A)
    assert redis("EXISTS", *BESIDE) == 0 and SHA_A in index_of(redis)


def test_an_upload_that_is_taken_away_leaves_what_was(redis):
    add(redis)
    managed(redis)
    proven(redis)
    upload(redis)
    try_it(redis, 2, SHA_C, "n1")
    before = index_of(redis)
    assert custom_clear(redis) == 1
    assert index_of(redis) == before
    assert redis("EXISTS", LIST, *BESIDE) == 0
    assert redis.hash(DOMAIN)["proven"] == "0"  # it is looked at anew
    assert events(redis)[-1]["type"] == "unstaged"
    assert custom_clear(redis) == 0
    # Where nothing was served there is nothing.
    redis("FLUSHALL")
    add(redis)
    upload(redis)
    redis.fcall("certfleet_custom_unstaged", OWNER_KEYS, NAME, 2)
    assert redis.hash(DOMAIN)["status"] == "pending_dns"
    # With one in service both go.
    custom_set(redis)
    upload(redis, SHA_D)
    letsencrypt(redis, "0")
    assert custom_clear(redis) == 1
    assert index_of(redis) is None and redis("KEYS", CUSTOM + "*") == []


def test_switched_off_the_managed_one_serves_until_the_upload_does(redis):
    add(redis)
    managed(redis)
    upload(redis)
    before = index_of(redis)
    letsencrypt(redis, "0")
    assert index_of(redis) == before
    journal(redis, 1, "", "download")
    refused("GONE", stage, redis, 1, SHA_B, FAR + 1)
    refused("REFUSED", move, redis, SHA_B, FAR + 1)
    assert prove_it(redis, 2, SHA_C) == [2, 2]
    assert SHA_C in index_of(redis)
    # Instead of it there is nothing.
    redis("FLUSHALL")
    add(redis)
    managed(redis)
    upload(redis)
    letsencrypt(redis, "0")
    assert custom_clear(redis) == 1
    assert index_of(redis) is None
    assert redis.hash(DOMAIN)["status"] == "disabled"


def test_the_cas_and_the_owners_wait_for_each_other(redis):
    add(redis)
    stage(redis, 2, SHA_B, 2000, fields=["sha1", SHA_B])
    canary(redis, 2, SHA_B, "n1")
    upload(redis)
    assert redis("HGET", DOMAIN, "canary") == "-" and not redis("EXISTS", LIST)
    since = try_it(redis, 2, SHA_C, "n1")
    # What the CA sends meanwhile ends no trial.
    stage(redis, 2, SHA_A, 3000, fields=["sha1", SHA_A])
    assert redis("HGET", LIST, NAME) == f"{SHA_C}:{since}:n1:custom"
    prove_it(redis, 2, SHA_C)
    assert redis("HGET", DOMAIN, "canary") == "-"
    promote(redis, 2, SHA_A)
    assert SHA_C in index_of(redis) and redis("GET", CERT) == "staged"


def test_a_domain_that_goes_takes_its_uploads_along(redis):
    add(redis)
    custom_set(redis)
    proven(redis)
    custom_set(redis, SHA_D)
    upload(redis, SHA_B)
    try_it(redis, 2, SHA_B, "n1")
    assert len(redis("KEYS", CUSTOM + "*")) == 5
    redis.fcall("certfleet_remove", REMOVE_KEYS, NAME)
    assert redis("KEYS", CUSTOM + "*") == [] and not redis("EXISTS", LIST)


def test_an_earlier_upload_comes_back_and_leads_forward_again(redis):
    add(redis)
    custom_set(redis, bundle=b"one")
    proven(redis)
    upload(redis, SHA_D, b"two", "/CN=two")
    prove_it(redis, 2, SHA_D)
    assert redis("GET", CUSTOM + ":previous") == "one"
    upload(redis, SHA_B, b"three")
    refused("CHANGED", back, redis, b"two", SHA_C, True)
    assert back(redis, b"one", SHA_C, True) == [3, 3]
    record = redis.hash(DOMAIN)
    assert (record["custom_sha1"], record["custom_subject"]) == \
        (SHA_C, "/CN=own")
    assert redis("GET", CUSTOM) == "one" and redis("EXISTS", *BESIDE) == 0
    assert f"{SHA_C}:custom:{record['changed_at']}" in index_of(redis)
    assert events(redis)[-1]["kind"] == "custom"
    back(redis, b"two", SHA_D, True)
    assert redis.hash(DOMAIN)["custom_subject"] == "/CN=two"
    redis("HSET", DOMAIN, "custom_left_at", "5")
    refused("BUSY", back, redis, b"one", SHA_C, True)


def test_back_from_an_upload_to_the_managed_one(redis):
    add(redis)
    managed(redis)
    custom_set(redis)
    assert redis("EXISTS", CUSTOM + ":previous") == 0
    assert back(redis, b"bundle", SHA_A, False)[0] == 3
    record = redis.hash(DOMAIN)
    assert "custom_sha1" not in record and record["sha1"] == SHA_A
    assert redis("EXISTS", CUSTOM) == 0
    assert redis("GET", CUSTOM + ":previous") == "own"
    back(redis, b"own", SHA_C, True)
    assert redis.hash(DOMAIN)["custom_sha1"] == SHA_C
    assert redis("EXISTS", CUSTOM + ":previous") == 0
    # Once the CA's is followed by another of the CA's the upload is forgotten.
    back(redis, b"bundle", SHA_A, False)
    managed(redis, SHA_B, FAR + 1)
    assert redis("KEYS", CUSTOM + "*") == []
    letsencrypt(redis, "0")
    refused("BUSY", back, redis, b"bundle", SHA_A, False)


def test_an_import_waits_for_its_canary(redis):
    assert move(redis, SHA_A, IN_30_DAYS, dry="1") == "imported"
    assert redis("KEYS", "*") == []
    assert move(redis, SHA_A, IN_30_DAYS) == "imported"
    record = redis.hash(DOMAIN)
    assert (record["app"], record["canary"], record["status"]) == \
        ("shop", "-", "creating")
    assert index_of(redis) is None and "sha1" not in record
    assert events(redis)[-1]["kind"] == "imported"
    assert move(redis, SHA_A, IN_30_DAYS) == "unchanged"
    assert move(redis, SHA_B, IN_30_DAYS) == "worse"
    journal(redis, 2, "", "new")
    redis("HSET", DOMAIN, "attempts", "3", "ari_id", "x")
    assert promote(redis, 2, SHA_A) == [1, 1]
    record = redis.hash(DOMAIN)
    assert (record["sha1"], record["serial"], record["not_after"]) == \
        (SHA_A, "0A", IN_30_DAYS)
    assert "attempts" not in record and "ari_id" not in record
    assert events(redis)[-1]["type"] == "imported"
    assert redis("HGET", ORDER, "step") == "new"  # an order goes on
    assert move(redis, SHA_B, IN_60_DAYS, b"later") == "replaced"
    assert SHA_A in index_of(redis)
    promote(redis, 2, SHA_B)
    assert SHA_B in index_of(redis) and redis("GET", CERT) == "later"
    assert redis("GET", CERT + ":previous") == "moved"


def test_an_import_that_would_only_be_kept_is_not_staged(redis):
    add(redis)
    custom_set(redis)
    assert move(redis, SHA_B, IN_30_DAYS) == "kept"
    assert redis("GET", CERT) == "moved"
    assert redis("EXISTS", CERT + ":next", CERT + ":staged") == 0
