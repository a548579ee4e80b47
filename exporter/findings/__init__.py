"""What becomes of findings: each is counted, logged, and kept for whoever looks.

counts       how many, by detector and severity
lines        a line of the log each, and one for many
kept         the last ones
doors        GET /findings
event        findings as events, for rules of a user's own
settings     the key `findings` of exporter.yml
alerts       findings as alerts of Alertmanager
client       one POST, within a time
poster       keeps one Alertmanager up to date
tally        what the exporter says about itself here
part         all of that together, as it follows the configuration
"""
