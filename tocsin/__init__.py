"""What people type, and what applications import: `tocsin.event("auth", method="password", outcome="failed")`.

What an application imports needs the standard library alone, waits for nothing, and never raises:

telling.py       event, configure, flush, dropped
encoding.py      an event as one line of JSON, whatever its values are
sending.py       a bounded queue, and the thread that sends what is in it
delivering.py    one batch to the exporter, with a deadline
destination.py   where events go, and who says them
identifiers.py   what a request is known by: its correlation ID and its trace
exchange.py      what is told of one HTTP request
asgi.py          middleware for FastAPI, Starlette and any other ASGI application
wsgi.py          middleware for Flask and any other WSGI application
django.py        middleware for Django
jobs.py          a job as an event: how it ended, and how long it took
records.py       an application's own log: counted, and as lines of JSON with a request's identifiers

The commands:

cli.py        the subcommands, and nothing else
up.py         exporter and receiver together, with no configuration
stack.py      what --stack adds: Prometheus and Alertmanager as they are installed
processes.py  several processes as one: started together, ended together
bundled.py    where the configuration is that travels with the program
fire.py       a test alert through the door that Alertmanager uses
incident.py   what is open, and what people do about it
delivery.py   what was sent and what became of it; dead letters sent again
typed.py      what several commands take from the command line, and their JSON
story.py      what people read about incidents: the list, and the whole path of one
oncall.py     who is on call, and when
statistics.py  how long people take, who is paged when, which alerts are noise
layout.py     text on a terminal: cut, wrapped, times as people read them
jobcommand.py  a command as a job: run, and told
token.py      a new bearer token, and the line of web.yml that lets it in
audit.py      what the journal holds, and whether its chain holds
export.py     the journal as a file that anybody can check
client.py     one request to a receiver
check.py      every configuration file of a repository, all faults at once
mapping.py    what exporter.yml makes of a sample, and all rules that are in force
trial.py      the way of a sample through the rules, with everything counted
ruletext.py   rules as YAML
preview.py    what a policy's channels would send, and a message to try one out
kinds.py      the kinds of configuration file that Tocsin has
filekinds.py  which file is of which kind
promcheck.py  promtool and amtool, for the files that are theirs
schemas.py    the JSON Schemas for editors
"""

from tocsin.jobs import job
from tocsin.telling import configure, dropped, event, flush

__all__ = ["configure", "dropped", "event", "flush", "job"]
