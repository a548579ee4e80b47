"""What was counted: series in memory, by metric. In the order in which data meets them:

store        the series of one page
kinds        what a series of each type takes, and what of it is published
"""
