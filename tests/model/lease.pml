/*
 * The protocol by which one leader at a time issues, as a model for spin:
 * what may go wrong between N issuers, a Redis that fails over and loses its
 * last writes, and a CA.
 *
 * An issuer may stand still between any two of its steps for as long as it
 * likes (SIGSTOP, a slow machine): nothing here looks at a clock before it acts.
 * So the deadline of leader.c, which keeps a healthy node from acting upon a
 * lease that is over, is not trusted for safety: what is checked holds without it.
 * What an issuer has in flight dies with its leadership at any step
 * (driver_cancel(), or a crash), as often as STOPS says.  A lease ends although its
 * holder still leads as often as LAPSES says; the lease of one who does not lead
 * any more ends by itself.
 *
 * There is one domain, due once.  Checked are
 *
 *  order     of what Redis accepts for the domain, each change is by the same
 *            leader as the one before or by one of a later epoch
 *  once      at most one certificate is issued for what is due; each failover
 *            that loses writes may cost one more, as the journal may be among
 *            them, but never two
 *  kept      the key of a certificate is in the journal when it is issued
 *  served    it ends with a certificate served by the Redis that is left, whatever
 *            was lost (ltl, under weak fairness)
 *
 * Assumed: two grants of a lease are never made in the same millisecond of
 * clocks that agree; the CA finishes an order at most once; keys and what is
 * sealed are right.
 *
 * Protocols that must fail (-D):
 *  NAIVE       a lease, and nothing is fenced
 *  COUNTED     fenced, but epochs are counted by INCR
 *  READ_FIRST  the record is read before it is fenced
 *  LOOSE       work goes on in a Redis that has replaced the one it began in
 *  STUBBORN    a leader that is refused goes on with its epoch
 *
 * States are bytes, and numbers count from 1; 0 is none.
 */
#ifndef N
#define N 2
#endif
#ifndef STOPS
#define STOPS 1
#endif
#ifndef LAPSES
#define LAPSES 1
#endif
#ifndef FAILOVERS
#define FAILOVERS 0
#endif

#define ORDERS 9

/* The journal's steps, of common/library.lua journal(). */
#define NONE 0
#define NEW 1
#define ORDERED 2
#define KEY 3

/* A Redis: 0 is the master at first, 1 its replica. */
typedef redis {
	/* KEY_LEADER: lease(), release() */
	byte holder;
	bool until; /* the lease has not ended */
	byte epoch;
	/* The domain's record: its fence, and what is served. */
	byte fence;
	byte writer; /* who wrote last: for the check only */
	byte served;
	/* KEY_ORDER */
	byte step, url, key;
};
redis r[2];
byte master = 0;

/* The CA's orders: not made, pending, valid; and the key of the certificate. */
byte orders = 0, keys = 0, certificates = 0;
bool valid[ORDERS];
byte key_of[ORDERS];

/* Redis' clock, which is another at each grant. */
byte clock = 0;

/* The issuers: connected to which Redis, leading with which epoch. */
byte at[N];
byte leads[N];

byte stops = STOPS, lapses = LAPSES, failovers = 0;

#define DONE (r[master].served != 0)

/* common/library.lua lease(): only asked when it is free, or ours. */
inline lease()
{
	clock++;
	assert(clock < 250);
#if defined(NAIVE) || defined(COUNTED)
	r[at[me]].epoch++;
#else
	r[at[me]].epoch = (r[at[me]].epoch + 1 > clock -> r[at[me]].epoch + 1 : clock);
#endif
	r[at[me]].holder = me + 1;
	r[at[me]].until = true;
	leads[me] = r[at[me]].epoch;
}

/* common/library.lua release(): only what is ours. */
inline release()
{
	if
	:: r[at[me]].holder == me + 1 && r[at[me]].epoch == leads[me] ->
		r[at[me]].until = false
	:: else
	fi
}

/* common/library.lua fence() */
#ifdef NAIVE
#define FENCED false
#else
#define FENCED (mine < r[at[me]].fence)
#endif

/* common/library.lua taken(): only for who has taken the domain in this Redis */
#if defined(NAIVE) || defined(LOOSE) || defined(READ_FIRST)
#define NOT_OURS FENCED
#else
#define NOT_OURS (r[at[me]].fence != 0 && mine != r[at[me]].fence)
#endif

/* HSET domain epoch: whoever changes the domain leaves its epoch. */
inline accepted()
{
	assert(mine > r[at[me]].fence ||
	    (mine == r[at[me]].fence &&
		(r[at[me]].writer == me + 1 || r[at[me]].writer == 0)));
	r[at[me]].fence = mine;
	r[at[me]].writer = me + 1
}

/* What a run knows is forgotten: driver.c run_free(). */
inline forget()
{
	url = 0;
	key = 0;
	saved = 0
}

proctype issuer(byte me)
{
	byte mine;            /* the epoch of the work in hand */
	byte url, key, saved; /* struct run: order.url, key_pem; the step read */
	bool served;          /* need.c need_of(): nothing is needed */

follower:
	/* leader.c ask(), got_lease(); when nothing is due nothing is tried */
	atomic { !r[at[me]].until && !DONE -> lease() };

leader:
	atomic {
		forget();
		mine = leads[me];
		if
		/* leader.c got_lease(): denied, so not leading any more */
		:: r[at[me]].holder != me + 1 || r[at[me]].epoch != mine ->
			leads[me] = 0;
			goto follower
		/* intake.c claim(): it is due */
		:: else -> !DONE
		fi
	};

	/* intake.c look(), got_record() */
#ifdef READ_FIRST
	served = r[at[me]].served != 0;
#else
	/* common/library.lua take(): nobody of before changes it from now on */
	atomic {
		if
		:: FENCED -> goto refused
		:: else
		fi;
		accepted();
		served = r[at[me]].served != 0
	};
#endif
	if
	:: served -> goto leader
	:: else
	fi;
	if
	:: atomic { stops > 0 -> stops--; goto stopped }
	:: true
	fi;

	/* driver.c begin(): store_begin(), journal("" -> new) */
	atomic {
		if
		:: NOT_OURS -> goto refused
		:: !NOT_OURS && r[at[me]].step == NONE ->
			accepted();
			r[at[me]].step = NEW;
			r[at[me]].url = 0;
			r[at[me]].key = 0;
			goto order
		:: !NOT_OURS && r[at[me]].step != NONE /* STEP */
		fi
	};
	/* driver.c begun(): store_order(), HGETALL */
	atomic {
		saved = r[at[me]].step;
		url = r[at[me]].url;
		key = r[at[me]].key;
		if
		:: saved == NONE -> goto leader /* gone meanwhile */
		:: else
		fi
	};
	/* driver.c got_journal(): run_journal(as it was read -> the same) */
	atomic {
		if
		:: NOT_OURS -> goto refused
		:: !NOT_OURS && (r[at[me]].step != saved || r[at[me]].url != url) ->
			goto leader /* STEP */
		:: else
		fi;
		accepted()
	};
	if
	:: url != 0 -> goto answer
	:: else
	fi;

order:
	/* driver.c post(), ORDER_NEW: each request makes another order */
	atomic {
		orders++;
		assert(orders < ORDERS);
		url = orders
	};
	if
	:: atomic { stops > 0 -> stops--; goto stopped }
	:: true
	fi;
	/* driver.c take(): run_journal(new -> ordered) */
	atomic {
		if
		:: NOT_OURS -> goto refused
		:: !NOT_OURS && r[at[me]].step != NEW -> goto leader /* STEP */
		:: !NOT_OURS && r[at[me]].step == NEW
		fi;
		accepted();
		r[at[me]].step = ORDERED;
		r[at[me]].url = url
	};

answer:
	/* order.c ORDER_AUTHZ to ORDER_CHECK: the CA looks, and it is right. */
	if
	:: key != 0 -> goto finalize /* driver.c need_csr(): it was saved */
	:: else
	fi;
	/* driver.c got_key(): store_journal("*" -> key), of this order */
	atomic {
		keys++;
		key = keys;
		if
		:: NOT_OURS -> goto refused
		:: else
		fi;
		accepted();
		r[at[me]].step = KEY;
		r[at[me]].url = url;
		r[at[me]].key = key
	};

finalize:
	if
	:: atomic { stops > 0 -> stops--; goto stopped }
	:: true
	fi;
	/* driver.c post(), ORDER_FINALIZE: only what is not yet valid */
	atomic {
		if
		:: !valid[url] ->
			valid[url] = true;
			key_of[url] = key;
			certificates++;
			/* once */
			assert(certificates <= 1 + failovers);
			/* kept */
			assert(r[at[me]].key == key || r[at[me]].served != 0 ||
			    failovers > 0)
		:: else
		fi
	};
	if
	:: atomic { stops > 0 -> stops--; goto stopped }
	:: true
	fi;
	/* driver_end.c run_finish(): cert_check(), store_commit() */
	atomic {
		if
		:: key_of[url] != key -> goto abandon
		:: else
		fi;
		/* common/library.lua commit() */
		if
		:: FENCED -> goto refused
		:: else
		fi;
		accepted();
		r[at[me]].served = url;
		r[at[me]].step = NONE;
		r[at[me]].url = 0;
		r[at[me]].key = 0
	};
	goto leader;

abandon:
	/* driver_end.c run_fail(): store_abandon() */
	atomic {
		if
		:: FENCED -> goto refused
		:: else
		fi;
		accepted();
		r[at[me]].step = NONE;
		r[at[me]].url = 0;
		r[at[me]].key = 0
	};
	goto leader;

refused:
	/* leader.c outdated(): hand over, so that the next epoch is later */
#ifndef STUBBORN
	atomic {
		release();
		leads[me] = 0;
		goto follower
	};
#else
	goto leader;
#endif

stopped:
	/* node.c on_leader(false): issuer_stop(); or a crash */
	atomic {
		leads[me] = 0;
		forget();
		goto follower
	}
}

/* The lease of one who does not renew it any more ends... */
active proctype time()
{
	do
	:: atomic {
		r[0].until && leads[r[0].holder - 1] != r[0].epoch ->
			r[0].until = false
	   }
	:: atomic {
		r[1].until && leads[r[1].holder - 1] != r[1].epoch ->
			r[1].until = false
	   }
	od
}

/* ...and that of one who stands still for too long, but still leads. */
active proctype pauses()
{
	do
	:: atomic { lapses > 0 && r[0].until -> lapses--; r[0].until = false }
	:: atomic { lapses > 0 && r[1].until -> lapses--; r[1].until = false }
	od
}

#if FAILOVERS > 0
/* The replica takes over as the master was at some moment. */
active proctype failover()
{
	if
	:: atomic {
		r[1].holder = r[0].holder;
		r[1].until = r[0].until;
		r[1].epoch = r[0].epoch;
		r[1].fence = r[0].fence;
		r[1].writer = r[0].writer;
		r[1].served = r[0].served;
		r[1].step = r[0].step;
		r[1].url = r[0].url;
		r[1].key = r[0].key
	   }
	:: true /* as it was at the beginning */
	fi;
	atomic { master = 1; failovers++ }
}

/*
 * Who is connected to the old master does not notice: Sentinel is asked again
 * from time to time.
 */
active proctype sentinel()
{
	do
	:: atomic { at[0] != master -> at[0] = master }
	:: atomic { at[1] != master -> at[1] = master }
#if N > 2
	:: atomic { at[2] != master -> at[2] = master }
#endif
	od
}
#endif

init {
	byte i;

	atomic {
		for (i : 0 .. N - 1) {
			run issuer(i)
		}
	}
}

#ifdef SERVED
ltl served { <>[] DONE }
#endif
