"""Watches a fleet from outside, writes down what it saw, and judges it.

It knows nothing of how certificates come about: it is a visitor of every node's
HAProxy, a reader of the CA's own records and of Redis' index.  A process of its
own, started from tests/:

    python3 -m referee watch SETUP HISTORY    looks, ten times a second
    python3 -m referee judge HISTORY [RULES]  says what went wrong; ends with 1

HISTORY is one JSON object per line, each with "at" (seconds) and "what".  Whoever
tests appends to it too (an append of one short line is whole):

    watch NAME, leave NAME   visit this name from now on, or no longer
    due NAME [n]             certificates that are owed, one if not said
    away NODE, back NODE     its HAProxy is not expected to answer meanwhile
    lost                     Redis has lost its data: its index may go back

The rest is what was seen: served, bad (TLS without a good certificate) and
silent (no TLS) of a node and a name, at each change, with the time of the
visit before, which has still seen what was there; issued and orders of the
CA; index and unindexed of Redis; looked, once a second, how often.
"""
