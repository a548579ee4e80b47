"""What people type.

cli.py       the subcommands, and nothing else
up.py        exporter and receiver together, with --stack Prometheus and Alertmanager as well
bundled.py   where the configuration is that travels with the program
fire.py      a test alert through the door that Alertmanager uses
incident.py  what is open, and the story of one incident
check.py     every configuration file of a repository, all faults at once
schemas.py   the JSON Schemas for editors
"""
