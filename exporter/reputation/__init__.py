"""Who is blocked, for how long and why: scores of addresses, and the list that firewalls are fed with.

Findings raise the score of an address, time lowers it, and an address whose score is above the threshold is on the list
for a while. Its files, in the order in which a finding meets them:

    place       what can stand on a list: an address, or a network
    allowed     who is never blocked
    policy      what counts for how much, and what follows
    settings    `reputation:` in exporter.yml
    part        the same put into force, with the file that it names
    score       what is held against an address
    block       who is blocked by whom, why, and until when
    blocklist   all blocks, when they end, and what has changed since
    deed        what was done about an address
    reputation  all of these together
    formats     the blocklist as programs read it that keep addresses out
    shared      what exporters tell each other of it
    meeting     the stream in Redis in which they do
    sharing     the same put into force
    counts      what is counted about it
    families    what of it Prometheus may know
    moments     how moments are written
    disk        files, in a thread that nobody waits for without an end
    statefile   blocks and scores over restarts
    trail       what was done, in lines that are only ever added
    keeper      ends blocks in time, and keeps what is worth it
    kept        what the exporter says about that
    listing     the list as text and as JSON
    doors       the doors through which addresses are told, blocked and released
"""
