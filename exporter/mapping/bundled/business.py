"""Transactions, features, jobs, errors, logs, builds, and events that were lost before they came here."""

from exporter.mapping.bundled.words import (
    FOR_EVER,
    among,
    counter,
    each,
    failed,
    gauge,
    histogram,
    labels,
    moment,
    succeeded,
    value,
)
from exporter.mapping.rule import Label

JOB_SECONDS = (0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 300.0, 900.0, 1_800.0, 3_600.0, 14_400.0, 43_200.0)
# From stars to the eleven answers of a recommendation score.
SCORES = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0)

TRANSACTIONS = counter("business_transactions_total", "Transactions, successful or not.")
TRANSACTION_FAILURES = counter("business_transaction_failures_total", "Transactions that failed.")
REVENUE = counter("business_revenue_total", "The amounts of successful transactions.", *labels("currency"))
ACTIVE_USERS = gauge("business_active_users", "Users that are active, as last said.")
FEATURES = counter("business_feature_uses_total", "How often features were used.", *labels("feature"))
API_CALLS = counter("business_api_calls_total", "Calls of the API by its users.", *labels("endpoint", "tenant_tier"))
SATISFACTION = histogram("business_satisfaction_score", "How satisfied users said that they are.", buckets=SCORES)

JOBS = counter("background_jobs_total", "Runs of jobs, successful or not.", *labels("job_name"), ttl_seconds=FOR_EVER)
JOB_FAILURES = counter(
    "background_job_failures_total", "Runs of jobs that failed.", *labels("job_name"), ttl_seconds=FOR_EVER
)
JOB_DURATION = histogram(
    "background_job_duration_seconds",
    "How long runs of jobs took, successful or not.",
    *labels("job_name"),
    buckets=JOB_SECONDS,
    ttl_seconds=FOR_EVER,
)
JOB_SUCCESS = gauge(
    "background_job_last_success_timestamp_seconds",
    "When the job last succeeded, in seconds since 1970.",
    *labels("job_name"),
    ttl_seconds=FOR_EVER,
)

ERRORS = counter("app_errors_total", "Errors of the application.", *labels("error_type", "component"))
LOG_RECORDS = counter("log_records_total", "Records that the application logged.", *labels("level", "logger"))
EVENTS_DROPPED = counter(
    "app_events_dropped_total",
    "Events that an application could not bring to the exporter, as it said later.",
    Label("reason", "reason", known=("full", "unusable", "rejected", "refused", "unanswered", "away")),
)
BUILD = gauge(
    "app_build_info",
    "Which version of the application runs; the value is always 1.",
    *labels("version", "revision", deployment_environment_name="environment"),
)

RULES = (
    each("error", ERRORS),
    each("log", LOG_RECORDS),
    value("events_dropped", EVENTS_DROPPED, "count"),
    each("app_info", BUILD),
    each("job", JOBS),
    among("job", JOB_FAILURES, failed()),
    value("job", JOB_DURATION, "duration_seconds"),
    moment("job", JOB_SUCCESS, succeeded()),
    each("transaction", TRANSACTIONS),
    each("transaction", TRANSACTION_FAILURES, failed()),
    value("transaction", REVENUE, "amount", succeeded()),
    value("active_users", ACTIVE_USERS, "count"),
    each("feature_used", FEATURES),
    each("api_call", API_CALLS),
    value("satisfaction", SATISFACTION, "score"),
)
