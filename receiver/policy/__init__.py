"""What is decided by: the frozen policy, and how receiver.yml and topology.yml become it.

duration.py  5m, 1h30m
mail.py      ops@example.org, smtp.example.org:587
windows.py   Sun 02:00-04:00, by the clock on the wall
topology.py  which service needs which
fields.py    kinds of text that stand in the files at many places
channelfile.py  channels as people write them
templatefile.py  templates of channels as people write them
channelchecks.py  what is wrong with them
fallbacks.py  which channel is told what another one does not take
actionfile.py   actions as people write them
actionnames.py  how the outbox names them
actionchecks.py  what is wrong with them
arguments.py    a command line with values of labels in it
shapes.py    looking into a document of any shape
file.py      the files as people write them
freeze.py    the policy that they become
checks.py    what needs more than one place of a file to be seen
overlap.py   what matchers have to do with each other
lints.py     what is no fault, and hardly meant
schedule.py  who is on call: shifts, by rotations and overrides
schedulefile.py  schedules and people as people write them
schedulechecks.py  what is wrong with them, and what is hardly meant
reach.py     which channels reach a person
redaction.py  what of labels and annotations leaves by which channel: the rules
policy.py    the frozen policy that `decide` is given; it goes into the journal, so it holds no secret
"""
