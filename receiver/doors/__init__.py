"""How the world reaches the receiver. A door checks, parses and answers; it decides nothing.

quick.py    the quick way to the next, before the web framework
webhook.py  POST /webhook/SOURCE: 200 only when it is on disk
api.py      GET /api/v1/...: what the store knows, for programs
oncall.py   GET /api/v1/oncall: who is on call, and when
statistics.py  GET /api/v1/statistics: how long people take, who is paged and when, what is noise
doing.py    an act of a person, whichever door it came by
acts.py     POST /api/v1/incidents/ID/...: what people do to an incident
ack.py      /ack/TOKEN: a signed link, by which somebody answers
signed.py   requests that prove by a signature who sent them
naming.py   what somebody is called who acts from elsewhere
slack.py    POST /slack/interactions: a button was pressed there
pagerduty.py  POST /pagerduty/webhook: somebody acted there
health.py   /-/healthy, /-/ready, /-/reload, /health, /health/detailed, /metrics
page.py     / for people: what is open, and how to connect Alertmanager
incidentpage.py  /incidents/ID for people: one incident
sheet.py    what pages for people look like, and what a browser may do with them
app.py      the table of doors, and what holds for all of them
answers.py  the JSON that all of them speak
"""
