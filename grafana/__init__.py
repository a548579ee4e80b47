"""Dashboards as code. There is none yet: the first ones come with the metrics that they show."""
