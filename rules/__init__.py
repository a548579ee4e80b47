"""Alerts as code.

bundled/  the rules that the bundled Prometheus loads
tests/    their unit tests for promtool
"""
