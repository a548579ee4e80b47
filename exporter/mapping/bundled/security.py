"""Threats, models, who logs in and what they may. Who it was never becomes a label."""

from exporter.mapping.bundled.words import (
    FOR_EVER,
    among,
    counter,
    each,
    failed,
    gauge,
    histogram,
    is_true,
    labels,
    moment,
    succeeded,
    value,
)
from exporter.mapping.rule import Condition

CONFIDENCE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)

DETECTED = counter(
    "threats_detected_total", "Threats detected, false positives too.", *labels("threat_type", "severity")
)
BLOCKED = counter("threats_blocked_total", "Threats that were blocked.", *labels("threat_type"))
FALSE_POSITIVES = counter(
    "threat_false_positives_total", "Threats that were detected and were none.", *labels("threat_type")
)
CONFIDENCES = histogram(
    "threat_confidence_ratio", "How sure it was that a threat is one, from 0 to 1.", buckets=CONFIDENCE
)

ACCURACY = gauge(
    "model_accuracy_ratio",
    "How much of the last evaluation the model got right, from 0 to 1.",
    *labels("model"),
    ttl_seconds=FOR_EVER,
)
DIVERSITY = gauge(
    "model_pattern_diversity",
    "How diverse the patterns were in the last evaluation of the model.",
    *labels("model"),
    ttl_seconds=FOR_EVER,
)
EVALUATED = gauge(
    "model_last_evaluation_timestamp_seconds",
    "When the model was last evaluated, in seconds since 1970.",
    *labels("model"),
    ttl_seconds=FOR_EVER,
)

LOGINS = counter("auth_attempts_total", "Attempts to log in, successful or not.", *labels("method"))
LOGIN_FAILURES = counter("auth_failures_total", "Attempts to log in that failed.", *labels("method", "reason"))
SSH_LOGINS = counter(
    "security_ssh_logins_total",
    "Logins over SSH, by what was shown for them.",
    *labels(method="factor"),
)
SUDO = counter("security_sudo_commands_total", "Commands that were to run by sudo, those that were refused too.")
SUDO_FAILURES = counter("security_sudo_failures_total", "Commands that sudo has refused.", *labels("reason"))
CHALLENGES = counter("mfa_challenges_total", "Second factors that were asked for.", *labels("method"))
CHALLENGE_FAILURES = counter("mfa_failures_total", "Second factors that were not right.", *labels("method"))
CHECKS = counter("permission_checks_total", "How often it was asked whether somebody may.", *labels("action"))
DENIALS = counter("permission_denials_total", "How often somebody might not.", *labels("action"))

RULES = (
    each("threat", DETECTED),
    among("threat", BLOCKED, is_true("blocked")),
    among("threat", FALSE_POSITIVES, is_true("false_positive")),
    value("threat", CONFIDENCES, "confidence"),
    value("model_evaluation", ACCURACY, "accuracy"),
    value("model_evaluation", DIVERSITY, "pattern_diversity"),
    moment("model_evaluation", EVALUATED),
    each("auth", LOGINS),
    each("auth", LOGIN_FAILURES, failed()),
    each("auth", SSH_LOGINS, Condition("method", "=", "ssh"), succeeded()),
    each("sudo", SUDO),
    each("sudo", SUDO_FAILURES, failed()),
    each("mfa", CHALLENGES),
    among("mfa", CHALLENGE_FAILURES, failed()),
    each("permission", CHECKS),
    among("permission", DENIALS, failed()),
)
