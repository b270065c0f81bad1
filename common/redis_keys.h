/*
 * Every Redis key and channel, once.
 *
 * Formats take the prefix ("certfleet:") first.  {pN} is a partition's tag: all
 * keys of one partition share a Cluster slot and change in one function call.
 * docs for operators: README.md, "Redis keys".
 */
#ifndef COMMON_REDIS_KEYS_H
#define COMMON_REDIS_KEYS_H

#define KEY_PREFIX "certfleet:"
#define KEY_MAX 512 /* bytes of any key, NUL included */

/* prefix, partition, name */
#define KEY_DOMAIN "%s{p%d}:domain:%s"     /* HASH: the record */
#define KEY_CERT "%s{p%d}:cert:%s"         /* STRING: msgpack bundle */
#define KEY_ORDER "%s{p%d}:order:%s"       /* HASH: journal of the order */
#define KEY_CUSTOM "%s{p%d}:custom:%s"     /* STRING: the owner's own bundle */
#define KEY_TIMELINE "%s{p%d}:timeline:%s" /* LIST: JSON, newest first */

/* Behind KEY_CERT and KEY_CUSTOM: of before, for a canary, what that is. */
#define KEY_PREVIOUS ":previous" /* STRING: msgpack bundle */
#define KEY_NEXT ":next"         /* STRING: msgpack bundle */
#define KEY_STAGED ":staged"     /* HASH: sha1, node, since, why, tried... */
#define KEY_WAS ":was"           /* HASH: the record's fields of before */

/* prefix, partition */
#define KEY_DUE "%s{p%d}:due" /* ZSET: name by next action, wall ms */
/*
 * HASH: name -> version:not_after:sha1, and once its owner has had a choice
 * ":kind:since", kind being managed or custom, since wall ms.
 */
#define KEY_INDEX "%s{p%d}:index"
#define KEY_GEN "%s{p%d}:gen"         /* INT: grows with each index change */
#define KEY_REMOVED "%s{p%d}:removed" /* ZSET: removed names, by wall ms */
#define KEY_NAMES "%s{p%d}:names"     /* ZSET: names of all domains, in order */
#define KEY_COUNTS "%s{p%d}:counts"   /* HASH: status -> how many domains */
#define KEY_EVENTS "%s{p%d}:events"   /* STREAM: what changed, capped */
/* HASH: name -> sha1:since:node, and ":custom" when it is the owner's own. */
#define KEY_CANARY "%s{p%d}:canary"

/* prefix, token */
#define KEY_CHALLENGE "%schallenge:%s" /* STRING, TTL: key authorization */
/*
 * prefix; STRING: the account's thumbprint, for stateless answers.  Shorter
 * than any token, so no token can name it.
 */
#define KEY_THUMBPRINT "%schallenge:thumbprint"

/*
 * prefix, bucket, key: ZSET, TTL: what was spent of a CA's limit, by wall ms;
 * the member "blocked" is until when the CA said no.
 */
#define KEY_LIMIT "%slimit:%s:%s"
/* In a Cluster all are in one slot: an order spends of several in one call. */
#define KEY_LIMIT_CLUSTER "%slimit:{limit}:%s:%s"

/* prefix */
#define KEY_TXT "%stxt"           /* HASH: "name value" -> JSON, TXT records */
#define KEY_TOKENS "%stokens"     /* HASH: SHA-256 of an API token -> JSON */
#define KEY_TOKENKEY "%stokenkey" /* STRING: sealed key that signs passes */
#define KEY_AUDIT "%saudit"       /* STREAM: who did what by the API, capped */
#define KEY_ROLLOVER "%srollover" /* STRING: "" or the next account key */
#define KEY_WEBHOOK "%swebhook"   /* HASH: epoch, pN -> event delivered */
#define KEY_RESEAL "%sreseal"     /* HASH: what is sealed by which key */
#define KEY_HOT "%shot"           /* HASH, TTL: names -> what is asked for */
#define KEY_LEADER "%sleader"     /* HASH: node, epoch, until */
#define KEY_NODES "%snodes"       /* ZSET: node id by last heartbeat, wall ms */
/*
 * HASH: schema, min_reader, min_writer (sync/schema.h), partitions, cluster_id,
 * named.
 */
#define KEY_META "%smeta"
#define KEY_APPS "%sapps" /* SET: apps that have domains */

/* prefix, id */
#define KEY_NODE "%snode:%s"          /* HASH, TTL: heartbeat of a node */
#define KEY_OFFERS "%snode:%s:offers" /* HASH, TTL: what Redis has lost */
#define KEY_APP "%sapp:%s"            /* SET: domains of an app */
#define KEY_ENV "%sapp:%s:env"        /* STRING: an app's variables, sealed */
#define KEY_ACCOUNT "%saccount:%s"    /* STRING: msgpack, sealed account key */

/*
 * Channels (prefix).  challenges: "token keyauth" the moment a challenge is
 * published, "token" when it is withdrawn, "= thumbprint" when the account's
 * thumbprint is set; ready: "token node" from each node whose HAProxy answers
 * the token; acks: "node gen" from each node that has applied a generation,
 * "trial name" from a canary that has news in its heartbeat, "ask id name" from
 * who wants to know what every node shows, "shows id ..." as the answers.
 */
#define CHANNEL_CHALLENGES "%schallenges"
#define CHANNEL_READY "%sready"
#define CHANNEL_ACKS "%sacks"

#endif
