"""What was counted: series in memory, by metric. In the order in which data meets them:

taken        what a batch brings to a metric, added up by series
store        the series of one page
held         a metric and its series: which are let in, and when they vanish
report       what is held and what is too much, for people
room         how many lines there may be in all
kinds        what a series of each type takes, and what of it is published
window       the last minutes of what was observed
sketch       quantiles of many numbers in little memory
settings     `series:` in exporter.yml
trouble      what could not be counted as it was said
"""
