"""How events come in. Intakes do the input and read the clock; what is decided about events is the pipeline's.

tally        what each of them has taken, and refused
body         a body into lines, or into the parts of an array, piece by piece
events       POST /events
statsd/      StatsD and DogStatsD lines over UDP and at a Unix datagram socket
logs/        the lines of log files, as they are written
"""
