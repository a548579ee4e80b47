"""StatsD and DogStatsD: lines over UDP and Unix datagram sockets become series. In the order in which data meets them:

choices      what can be set, as flags and in exporter.yml
sockets      the sockets: packets in, as many as are there, and what the kernel has dropped
lines        one line taken apart: name, tags, type, rate; or why not
names        names of metrics and labels that Prometheus takes
mapping      which mapping of a statsd_exporter file a name has, and what its lines become then
mappingfile  such a file, and everything that can be wrong with it
wanted       what lines of a name become
gathered     what is known of a line, and what has come for a metric and is not handed on yet
counting     lines into series: what is known of a line is remembered, and a batch of packets is counted at once
sets         how many different values a set has seen in the last minute
following    what lines become follows the configuration
telling      what the exporter says about all this
"""
