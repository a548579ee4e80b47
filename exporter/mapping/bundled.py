"""The rules for the kinds of event that Tocsin knows. docs/events.md has the same for people."""

from exporter.mapping.rule import Label, Metric, Rule

HTTP_REQUESTS = Metric(
    name="http_server_request_duration_seconds",
    type="histogram",
    help="How long requests took, from their first byte in to the last byte out.",
    labels=(
        Label("http_request_method", "method"),
        Label("http_route", "route"),
        Label("http_response_status_code", "status"),
    ),
)

RULES = (Rule(event="http_request", metric=HTTP_REQUESTS, value="duration_seconds"),)
