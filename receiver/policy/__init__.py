"""What is decided by: the frozen policy, and how receiver.yml and topology.yml become it.

duration.py  5m, 1h30m
matcher.py   severity="critical"
mail.py      ops@example.org, smtp.example.org:587
windows.py   Sun 02:00-04:00, by the clock on the wall
topology.py  which service needs which
file.py      the files as people write them
freeze.py    the policy that they become
checks.py    what needs more than one place of a file to be seen
policy.py    the frozen policy that `decide` is given; it goes into the journal, so it holds no secret
"""
