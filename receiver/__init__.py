"""The durable half: takes Alertmanager's webhooks, decides, and tells people. In the order in which data meets them:

doors/       check, parse, answer; decide nothing
sources.py   who may post
alert.py     Alertmanager's webhook, version 4, as typed values
entry.py     what the journal holds
store/       the journal, the state and the outbox on disk: one transaction moves all three
runner.py    appends, decides, commits; the one decider
own.py       incidents of Tocsin's own: what it has to say of itself
engine.py    decide(state, entry, policy) -> Decision: the only place where anything is decided
lifecycle.py  what happens to an incident as a whole: people act on it, a snooze ends, it is over
ledger.py    a decision while it is made
state.py     what is known, and the only way it moves
incident.py  an incident, its alerts, and how they are shown
message.py   what goes out, with an identity that follows from the decision
policy/      what is decided by
outbox.py    sends until it is taken or refused, and reports through the front door
channels/    ways to people
clock.py     what time it is
settings.py  receiver.yml on its way in
metrics.py   what the receiver says about itself
__main__.py  the only place that wires

Pure (no clock, no input or output): alert, entry, engine, own, ledger, lifecycle, state, incident, message,
policy/.
"""
