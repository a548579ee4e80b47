"""The policies that the worlds have: each one brings something else."""

from __future__ import annotations

from functools import lru_cache

from receiver.policy.policy import Policy
from tests.stories.story import policy_from

_ROUTES = """
routes:
  - {matchers: ['alertname="Watchdog"']}
  - {matchers: ['severity="critical"'], escalation: page}
  - {escalation: chat}
escalations:
  page: {stages: [{notify: [chat, hook]}, {delay: 5m, notify: [pager]}, {delay: 2h, notify: [chat, pager]}]}
  chat: {stages: [{notify: [chat]}]}
channels:
  chat: {type: terminal, fallback: pager, fallback_after: 2m}
  pager: {type: terminal, fallback: hook, fallback_after: 10s}
  hook: {type: terminal}
"""

_ACTIONS = """
actions: {fix: {command: [/bin/fix]}, restart: {webhook: {url: 'http://x/'}}}
"""
_CHAT = """chat: {repeat: {every: 20m, times: 3}, acknowledged_for: 30m,
         stages: [{notify: [chat]}, {delay: 3m, notify: [{schedule: primary}, {action: restart}]}]}"""
_TEXTS = {
    "plain": _ROUTES.replace(", fallback: hook, fallback_after: 10s", ""),
    # Another route for everything, and a channel less.
    "other": """
escalations:
  all: {stages: [{notify: [hook]}, {delay: 20m, notify: [chat]}]}
channels: {chat: {type: terminal}, hook: {type: terminal}}
""",
    "storms": _ROUTES.replace("[chat, hook]", "[chat, hook, {action: fix}]").replace(
        "chat: {stages: [{notify: [chat]}]}", "chat: {stages: [{notify: [{action: restart}, chat]}]}"
    )
    + _ACTIONS
    + """
storms: {per_channel: {limit: 3, per: 1m}}
flapping: {after: 2, calm: 5m}
""",
    "nothing passes": _ROUTES
    + """
storms: {per_channel: {limit: 2, per: 5m}, never_hold: []}
reopen_within: 0s
flapping: {after: 0}
""",
    "rules": _ROUTES
    + """
correlate:
  - {name: break-in, sequence: [['alertname="Alert0"'], ['alertname="Alert1"']], equal: [host], window: 1h,
     title: 'Break-in at {host}'}
  - {name: database, cause: ['alertname="Alert3"'], symptom: ['tier="app"'], equal: [cluster], window: 30m}
  - {name: services, depends_on_label: service, equal: [cluster], window: 1h}
  - {name: hosts, matchers: ['host!=""'], by: [host], window: 20m}
topology:
  services:
    shop: {depends_on: [cart, search]}
    cart: {depends_on: [db]}
    search: {depends_on: [db]}
incident_alerts_max: 12
redact:
  - {labels: [host], as: hashed}
  - {labels: [cluster, instance], as: masked, channels: [chat, hook]}
  - {labels: ['t*'], as: dropped, channels: [pager]}
""",
    "other rules": _ROUTES
    + """
correlate:
  - {name: clusters, by: [cluster], window: 1h}
  - {name: services, depends_on_label: service, window: 1h}
topology: {services: {shop: {depends_on: [db]}}}
storms: {per_channel: {limit: 3, per: 1m}}
""",
    "insisting": _ROUTES.replace(
        "page: {stages", "page: {repeat: {every: 150m, times: 2}, acknowledged_for: 1h, stages"
    )
    .replace("{delay: 5m, notify: [pager]}", "{delay: 5m, notify: [pager], when: {firing_min: 2}}")
    .replace("chat: {stages: [{notify: [chat]}]}", _CHAT)
    .replace("{delay: 2h, notify: [chat, pager]}", "{delay: 2h, notify: [chat, {schedule: primary}]}")
    .replace("[chat, hook]", "[chat, hook, {action: fix}]")
    .replace(
        "  hook:", "  phone1: {type: terminal, fallback: phone2}\n  phone2: {type: terminal, fallback: pager}\n  hook:"
    )
    + """
schedules:
  primary:
    time_zone: Europe/Berlin
    rotations: [{people: [ana, ben], shift: 1h, starts: '2026-03-01T00:00'}]
    overrides: [{person: ben, from: '2026-03-28T22:10', to: '2026-03-28T23:40'}]
people: {ana: {notify: [{channel: phone1}]}, ben: {notify: [{channel: phone2}]}}
"""
    + _ACTIONS,
    "night": _ROUTES
    + """
maintenance:
  - {name: patch night, matchers: ['severity=~"warning|critical"', 'group!="3"'], weekly: 'Sun 02:00-04:00',
     time_zone: Europe/Berlin}
cooldowns: [{matchers: ['alertname="Alert1"'], duration: 40m}]
flapping: {after: 2, calm: 10m}
""",
    "watched": "sources: {am: {watchdog: {late_after: 5m}}, eu1: {watchdog: {late_after: 3m}}}" + _ROUTES,
    "watched otherwise": "sources: {eu1: {watchdog: {late_after: 10m}}}"
    + _ROUTES
    + """
stale_after: 2h
""",
    "years": _ROUTES
    + """
stale_after: 12h
maintenance: [{name: sundays, matchers: ['severity="warning"'], weekly: 'Sun 02:00-04:00', time_zone: Europe/Berlin}]
""",
}


_TEXTS["growing"] = (
    _TEXTS["insisting"]
    .replace("acknowledged_for: 1h", "acknowledged_for: 2h, again: {firing_more: 2}")
    .replace("acknowledged_for: 30m", "again: {firing_more: 3, severity_rises: false}")
)

_TEXTS["worst"] = """
routes:
  - {matchers: ['severity=~"critical|error"'], escalation: page}
  - {escalation: chat}
escalations:
  page:
    repeat: {every: 25m, times: 3}
    acknowledged_for: 40m
    again: {firing_more: 2}
    stages:
      - {notify: [chat, {action: fix}]}
      - {delay: 4m, notify: [pager, {schedule: primary}], when: {firing_min: 2}}
      - {delay: 12m, notify: [hook, {action: restart}]}
  chat:
    repeat: {every: 50m, times: 2}
    acknowledged_for: 2h
    stages: [{notify: [chat]}, {delay: 3m, notify: [{schedule: primary}, {action: restart}]}]
channels:
  chat: {type: terminal, fallback: pager, fallback_after: 30s}
  pager: {type: terminal, fallback: phone1, fallback_after: 10s}
  phone1: {type: terminal, fallback: phone2, fallback_after: 1m}
  phone2: {type: terminal, fallback: hook, fallback_after: 10m}
  hook: {type: terminal}
schedules:
  primary:
    time_zone: Europe/Berlin
    rotations: [{people: [ana, ben], shift: 1h, starts: '2026-03-01T00:00'}]
    overrides: [{person: ben, from: '2026-03-28T22:10', to: '2026-03-28T23:40'}]
people: {ana: {notify: [{channel: phone1}]}, ben: {notify: [{channel: phone2}]}}
actions: {fix: {command: [/bin/fix]}, restart: {webhook: {url: 'http://x/'}}}
storms: {per_channel: {limit: 3, per: 2m}}
flapping: {after: 2, calm: 4m}
cooldowns: [{matchers: ['alertname="Alert2"'], duration: 15m}]
correlate: [{name: hosts, matchers: ['group=~"[01]"'], by: [host], window: 20m}]
redact:
  - {labels: [user], as: masked}
  - {labels: [host], as: hashed, channels: [chat, hook]}
"""
_TEXTS["worst otherwise"] = (
    _TEXTS["worst"]
    .replace("fallback: pager, fallback_after: 30s", "fallback: hook, fallback_after: 2m")
    .replace("  hook: {type: terminal}", "  hook: {type: terminal, fallback: pager, fallback_after: 10s}")
    .replace("phone2: {type: terminal, fallback: hook, fallback_after: 10m}", "phone2: {type: terminal}")
    .replace("limit: 3, per: 2m}", "limit: 1, per: 4m}, never_hold: []")
    .replace("again: {firing_more: 2}", "again: {firing_more: 3, severity_rises: false}")
    .replace("as: masked", "as: dropped")
    .replace("calm: 4m", "calm: 1m")
)
_TEXTS["worst with less"] = (
    _TEXTS["worst"]
    .replace("  pager: {type: terminal, fallback: phone1, fallback_after: 10s}\n", "")
    .replace("fallback: pager, fallback_after: 30s", "fallback: hook, fallback_after: 10s")
    .replace("notify: [pager, {schedule: primary}]", "notify: [{schedule: primary}]")
    .replace("limit: 3, per: 2m", "limit: 0")
    .replace("after: 2, calm", "after: 0, calm")
    .replace("channels: [chat, hook]", "channels: [phone1]")
)


@lru_cache
def policy_named(name: str) -> Policy:
    return policy_from(_TEXTS[name], digest=name)
