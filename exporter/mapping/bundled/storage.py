"""Databases, caches, messages, DHT."""

from exporter.mapping.bundled.words import (
    FAILED_STATUS,
    among,
    counter,
    each,
    failed,
    gauge,
    histogram,
    is_true,
    labels,
    value,
)
from exporter.mapping.rule import BUCKETS, Condition

# OpenTelemetry's, as the name is.
QUERY_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
CACHE_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0)
LOOKUP_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

QUERIES = histogram(
    "db_client_operation_duration_seconds",
    "How long the database took.",
    *labels(db_operation_name="operation", db_collection_name="table"),
    buckets=QUERY_SECONDS,
)
POOL = gauge("db_client_connection_count", "Connections of a pool in this state, as last said.", *labels("state"))
CACHE_OPERATIONS = counter(
    "cache_operations_total", "What was asked of the cache, hits and misses.", *labels("operation")
)
CACHE_HITS = counter("cache_hits_total", "How often the cache had what was asked for.")
CACHE_DURATION = histogram(
    "cache_operation_duration_seconds", "How long the cache took.", *labels("operation"), buckets=CACHE_SECONDS
)
CACHE_SIZE = gauge("cache_size_bytes", "How large the cache is, as last said.", *labels("cache"))

SENT = counter("messages_sent_total", "Messages sent, also where that failed.", *labels("message_type"))
SEND_FAILURES = counter("messages_send_failures_total", "Messages that could not be sent.", *labels("message_type"))
RECEIVED = counter("messages_received_total", "Messages received.", *labels("message_type"))
PROCESSING = histogram(
    "message_processing_duration_seconds", "How long messages took to process.", *labels("operation"), buckets=BUCKETS
)

PEERS = gauge("dht_peers_connected", "Peers of the distributed hash table that are connected, as last said.")
LOOKUPS = histogram(
    "dht_lookup_duration_seconds", "How long look-ups in the distributed hash table took.", buckets=LOOKUP_SECONDS
)
ROUTING_TABLE = gauge("dht_routing_table_size", "Nodes in the routing table, as last said.")
BOOTSTRAPS = counter("dht_bootstraps_total", "Attempts to join the distributed hash table.")
BOOTSTRAP_FAILURES = counter("dht_bootstrap_failures_total", "Attempts to join the distributed hash table that failed.")

RULES = (
    value("db_query", QUERIES, "duration_seconds"),
    value("db_pool", POOL, "count"),
    each("cache", CACHE_OPERATIONS),
    each("cache", CACHE_HITS, is_true("hit")),
    value("cache", CACHE_DURATION, "duration_seconds"),
    value("cache_size", CACHE_SIZE, "bytes"),
    each("message_sent", SENT),
    among("message_sent", SEND_FAILURES, Condition("status", "=~", FAILED_STATUS)),
    each("message_received", RECEIVED),
    value("message_processed", PROCESSING, "duration_seconds"),
    value("dht_peers", PEERS, "count"),
    value("dht_lookup", LOOKUPS, "duration_seconds"),
    value("dht_routing_table", ROUTING_TABLE, "size"),
    each("dht_bootstrap", BOOTSTRAPS),
    each("dht_bootstrap", BOOTSTRAP_FAILURES, failed()),
)
