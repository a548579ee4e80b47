"""Is the newest number of a stream unusual, given those before it?

history    the last numbers of a stream, without the present
methods    what is usual, by ratio, z-score, quartiles, spike and smoothing
stream     one stream: what is beyond the usual, and what becomes part of it
intervals  time, in pieces of equal length
amounts    what one interval comes to
suspects   who alone passes the bound of all together

All of it is for what Prometheus cannot see: bursts between two scrapes, and what is never exported.
"""
