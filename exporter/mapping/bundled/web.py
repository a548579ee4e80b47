"""Requests, connections, WebSocket, GraphQL."""

from exporter.mapping.bundled.words import (
    FOR_EVER,
    counter,
    each,
    falls,
    gauge,
    histogram,
    is_false,
    is_true,
    labels,
    rises,
    value,
)
from exporter.mapping.rule import Label

# OpenTelemetry's, as the names are.
REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
CONNECTION_SECONDS = (0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0)
VALIDATION_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)
COMPLEXITY = (1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0)
DEPTH = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 15.0, 20.0)
FIELD_COUNT = (1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0)

HTTP_REQUEST = histogram(
    "http_server_request_duration_seconds",
    "How long requests took, from their first byte in to the last byte out.",
    *labels(http_request_method="method", http_route="route", http_response_status_code="status"),
    buckets=REQUEST_SECONDS,
)
HTTP_ACTIVE = gauge(
    "http_server_active_requests",
    "Requests that have begun and not ended: http_request_started less http_request with started: true.",
    *labels(http_request_method="method", url_scheme="scheme"),
    ttl_seconds=FOR_EVER,
    least=0.0,
)
CONNECTIONS = gauge(
    "app_active_connections",
    "Connections that are open: connection_opened less connection_closed.",
    *labels("connection_type"),
    ttl_seconds=FOR_EVER,
    least=0.0,
)
CONNECTION_DURATION = histogram(
    "app_connection_duration_seconds", "How long connections were open that have closed.", buckets=CONNECTION_SECONDS
)

SOCKETS = gauge(
    "websocket_connections",
    "WebSocket connections that are open: websocket_opened less websocket_closed.",
    *labels("user_type"),
    ttl_seconds=FOR_EVER,
    least=0.0,
)
SOCKET_ATTEMPTS = counter(
    "websocket_connection_attempts_total",
    "Attempts to open a WebSocket connection, accepted or not.",
    *labels("user_type"),
)
SOCKETS_REJECTED = counter(
    "websocket_connections_rejected_total",
    "Attempts to open a WebSocket connection that were rejected.",
    *labels(reason="rejection_reason"),
)
SOCKET_DURATION = histogram(
    "websocket_connection_duration_seconds",
    "How long WebSocket connections were open that have closed.",
    *labels("user_type"),
    buckets=CONNECTION_SECONDS,
)
SOCKET_MESSAGES = counter(
    "websocket_messages_total",
    "Messages over WebSocket connections.",
    Label("direction", "direction", known=("sent", "received")),
)
THROTTLED = counter("websocket_throttle_hits_total", "How often a WebSocket connection was slowed down.")

VALIDATIONS = counter("graphql_validations_total", "GraphQL queries that were validated, accepted or not.")
REJECTIONS = counter(
    "graphql_rejections_total", "GraphQL queries that were rejected.", *labels(reason="rejection_reason")
)
QUERY_COMPLEXITY = histogram("graphql_query_complexity", "How complex GraphQL queries were.", buckets=COMPLEXITY)
QUERY_DEPTH = histogram("graphql_query_depth", "How deep GraphQL queries were.", buckets=DEPTH)
QUERY_FIELDS = histogram("graphql_query_fields", "How many fields GraphQL queries asked for.", buckets=FIELD_COUNT)
VALIDATION_DURATION = histogram(
    "graphql_validation_duration_seconds", "How long GraphQL queries took to validate.", buckets=VALIDATION_SECONDS
)

RULES = (
    rises("http_request_started", HTTP_ACTIVE),
    value("http_request", HTTP_REQUEST, "duration_seconds"),
    falls("http_request", HTTP_ACTIVE, is_true("started")),
    rises("connection_opened", CONNECTIONS),
    falls("connection_closed", CONNECTIONS),
    value("connection_closed", CONNECTION_DURATION, "duration_seconds"),
    each("websocket_attempt", SOCKET_ATTEMPTS),
    each("websocket_attempt", SOCKETS_REJECTED, is_false("accepted")),
    rises("websocket_opened", SOCKETS),
    falls("websocket_closed", SOCKETS),
    value("websocket_closed", SOCKET_DURATION, "duration_seconds"),
    each("websocket_message", SOCKET_MESSAGES),
    each("websocket_throttled", THROTTLED),
    each("graphql_validation", VALIDATIONS),
    each("graphql_validation", REJECTIONS, is_false("accepted")),
    value("graphql_validation", QUERY_COMPLEXITY, "complexity"),
    value("graphql_validation", QUERY_DEPTH, "depth"),
    value("graphql_validation", QUERY_FIELDS, "field_count"),
    value("graphql_validation", VALIDATION_DURATION, "duration_seconds"),
)
