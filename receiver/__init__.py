"""The durable half: takes Alertmanager's webhooks, decides, and tells people. In the order in which data meets them:

doors/       check, parse, answer; decide nothing
sources.py   who may post
accesses.py  who used the API, gathered for the journal
alert.py     Alertmanager's webhook, version 4, as typed values
entry.py     what the journal holds
store/       the journal, the state and the outbox on disk: one transaction moves all three
runner.py    appends, decides, commits; the one decider
engine.py    decide(state, entry, policy) -> Decision: the only place where anything is decided
episode.py   which alert a line of a body is, and which episode of it
watch.py     whether a source can be believed: silent, hidden, gone
joining.py   alerts join incidents and go
correlation.py  which incident an alert belongs to, and the reason
adoption.py  a cause that comes late: which incidents are its symptoms
merging.py   two incidents become one, and one becomes two
acting.py    what people do to incidents
lifecycle.py  what happens to an incident as a whole: it is snoozed or muted, is heard again, is over, rests
own.py       incidents of Tocsin's own: what it has to say of itself
escalation.py  which stage comes next, and when
actions.py   what a stage runs besides: owed like a message, told to nobody
telling.py   whom to tell now: stages, and updates to those who know
quiet.py     when nobody is told yet: maintenance, cooldown
storm.py     telling channels, and holding back what would be too much: digests
fallback.py  who is told instead when a channel does not take a page
withdrawal.py  which pages are owed and call nobody any more
ledger.py    a decision while it is made
state.py     what is known, and the only way it moves
texts.py     the texts of alerts that come together, each kept in memory once
audit.py     whether each incident's next step is known, and nothing is overdue
known.py     how sources, groups and channels are, as values
spell.py     an incident from its opening to its end: what statistics are made of
statistics.py  what people read of that
incident.py  an incident and its alerts
view.py      how both are shown
redaction.py  what of both leaves, by the rules of the policy
message.py   what goes out, with an identity that follows from the decision
pressed.py   a button in a message, and which act it is
policy/      what is decided by
retention.py  takes out what is older than the policy keeps
chaincheck.py  walks the whole chain of the journal, in the background
outbox.py    sends until it is taken or refused, and reports through the front door
channelqueue.py  what one channel is owed: its order, pauses and breaker
links.py     what messages link to, and the signed links by which people answer
lateness.py  which pages a channel has not taken in time
receipts.py  by what the other side knows our messages again
channels/    ways to people
alertmanager.py  what Alertmanager's API is asked, and what it answers
comparison.py  that beside what is known: what is news
reconcile.py  asks each source's Alertmanager, and hands what is news to the journal
icalendar.py  who is on call, for calendars
clock.py     what time it is
settings.py  receiver.yml on its way in
standing.py  how things stand at the moment, as metrics
metrics.py   what the receiver says about itself
commandline.py  what can be typed
__main__.py  the only place that wires

Pure (no clock, no input or output): everything from engine.py to policy/, and alert and entry.
"""
