"""What is decided by: the frozen policy, and how receiver.yml becomes it.

duration.py  5m, 1h30m
matcher.py   severity="critical"
file.py      receiver.yml as people write it, with the checks that need more than one place of the file
policy.py    the frozen policy that `decide` is given; it goes into the journal, so it holds no secret
"""
