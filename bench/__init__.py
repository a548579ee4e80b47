"""Each published number as one program that measures the peer in the same run. `make bench` runs them all.

intake.py   alerts accepted per second, each on disk, against Alertmanager's intake in memory
decide.py   alerts decided per second by the engine alone
scrape.py   what a scrape costs, against node_exporter with the same collectors
load.py     the load of requests
servers.py  starting and ending what is measured
"""
