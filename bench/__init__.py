"""Each published number as one program that measures the peer in the same run. `make bench` runs them all.

intake.py    alerts accepted per second, each on disk, against Alertmanager's intake in memory
body.py      one body of 20,000 alerts
latency.py   from a webhook to the message about it
decide.py    alerts decided per second by the engine alone
memory.py    memory per active alert, against Alertmanager with the same
restart.py   kill -9 with 100,000 active alerts, and ready again
overload.py  more webhooks than can be decided: early refusals, bounded memory, nothing lost
outage.py    every channel is down while an hour of a storm comes
drain.py     10,000 messages are owed when a channel comes back
schedule.py  who is on call in a year, for 500 people
scrape.py    what a scrape costs, against node_exporter with the same collectors
million.py   a page of a million series, and how long others wait meanwhile
cardinality.py  a label with a million different values: memory, against prometheus-client
logs.py      lines of a log a second, against mtail on the same file
client.py    what one line of code costs an application, beside a line of a log
events.py    events over HTTP, beside what decoding them costs
detectors.py what a login costs detectors, and a million addresses
detection.py how soon floods are found, and how often nothing is taken for one
traffic.py   days of traffic that is generated, with attacks
attacks.py   how soon who attacks a city is found and blocked, and who in it is taken for one
probes.py    what a probe of a black hole costs, and whom
guesses.py   failed logins in a log of sshd, against fail2ban
city.py      a day of a city, with people, machines and attacks
redaction.py what it costs to find personal data
blocklist.py what it costs to have a hundred thousand addresses on the blocklist
statsd.py    packets of StatsD that are taken, against the Node.js daemon
load.py      the load of requests
servers.py   starting and ending what is measured, and asking it
"""
