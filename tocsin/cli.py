"""`tocsin …`: the subcommands and nothing else. Each one parses its own flags where it lives."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping, Sequence

from guard.version import VERSION

HELP = """\
usage: tocsin COMMAND [flags]

Tocsin goes behind Prometheus and Alertmanager: what they say becomes incidents and messages, and nothing is lost.

  up          exporter and receiver together, with no configuration; --stack adds Prometheus and Alertmanager
  exporter    publish metrics for Prometheus
  receiver    take Alertmanager's webhooks, decide, and tell people
  check       every configuration file of a repository, all faults at once
  mapping     try FILE: what exporter.yml makes of a sample, and why | show: all rules in force
  fire        send a test alert:  tocsin fire alertname=Demo severity=critical
  incident    list | show ID | ack ID | resolve ID | snooze ID 2h | note ID TEXT | assign | merge | split
  delivery    list | resend ID | resend --channel=NAME --all: what was sent, and dead letters
  oncall      who is on call, who is next, and who is when; as a calendar too
  statistics  how long people take to answer, who is paged and when, which alerts are noise
  job         run a command, and tell the exporter how it ended:  tocsin job backup -- /usr/local/bin/backup
  token       a new token for a program or a person:  tocsin token deploy-bot --role=responder
  audit       verify | list | export: the journal's chain, and what the journal holds

  tocsin COMMAND --help tells more. Every flag is also an environment variable: TOCSIN_...
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 good, 1 a fault was found, 2 the command line is wrong."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # what its character set lacks is shown as an escape
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        return _command(given[0] if given else "--help", given[1:], os.environ)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _command(name: str, rest: Sequence[str], environ: Mapping[str, str]) -> int:
    # Imported when it is needed: `tocsin fire` must not pay for what only the receiver uses.
    match name:
        case "-h" | "--help" | "help":
            sys.stdout.write(HELP)
            return 0
        case "--version":
            sys.stdout.write(f"tocsin {VERSION}\n")
            return 0
        case "up":
            from tocsin import up

            return up.main(rest, environ)
        case "exporter":
            from exporter.__main__ import main as exporter

            return exporter(rest)
        case "receiver":
            from receiver.__main__ import main as receiver

            return receiver(rest, environ)
        case "check":
            from tocsin import check
            from tocsin.kinds import KINDS

            return check.main(rest, kinds=KINDS, out=sys.stdout, err=sys.stderr, environ=environ)
        case "mapping":
            from tocsin import mapping

            return mapping.main(rest, environ)
        case "fire":
            from tocsin import fire

            return fire.main(rest, environ)
        case "incident":
            from tocsin import incident

            return incident.main(rest, environ)
        case "delivery":
            from tocsin import delivery

            return delivery.main(rest, environ)
        case "oncall":
            from tocsin import oncall

            return oncall.main(rest, environ)
        case "statistics":
            from tocsin import statistics

            return statistics.main(rest, environ)
        case "job":
            from tocsin import jobcommand

            return jobcommand.main(rest, environ)
        case "token":
            from tocsin import token

            return token.main(rest)
        case "audit":
            from tocsin import audit

            return audit.main(rest, environ)
    sys.stderr.write(f"tocsin: there is no command {name!r}\n\n{HELP}")
    return 2


if __name__ == "__main__":
    sys.exit(main())
