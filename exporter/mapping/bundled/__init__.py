"""The rules for the kinds of event that Tocsin knows. docs/events.md has the same for people.

words        how these rules are written, and which words mean that something went well or not
web          requests, connections, WebSocket, GraphQL
security     threats, models, who logs in and what they may
storage      databases, caches, messages, DHT
business     transactions, features, jobs, errors, logs, builds
"""

from exporter.mapping.bundled import business, security, storage, web

RULES = (*web.RULES, *security.RULES, *storage.RULES, *business.RULES)
"""In an order that matters: what opens comes before what closes, so that a gauge of both never falls below zero."""
