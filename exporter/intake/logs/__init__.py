"""Log files as events: followed as they are written, through rotations and restarts. In the order in which lines go:

settings     what exporter.yml says of each log
fingerprint  what a file is known by when its name or its number is not enough
file         one file that is followed: what was added to it, and whether it is still the same
backfill     a compressed file, read once
search       which files there are now, and where one has gone
follower     all files of one log
positions    how far each file was read, over restarts
cut          bytes into whole lines, or records of several lines
moments      when a line says that it was written
columns      texts by the names of their fields, as events
jsonlines    lines of JSON
logfmt       lines of key=value
authlog      lines of sshd, sudo and su
patterns     lines that regular expressions take apart
parsing      the one of these that a log asks for
counts       what was read, and what was wrong with it
tail         one log, turn by turn, at a pace that leaves the doors open
tailer       all logs, each for itself
part         the place of all this in the program
"""
