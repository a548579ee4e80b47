"""HTTP/1.1 in front of a program's doors, without a web framework, whose import alone costs 17 MB.

Bytes are parsed by httptools, in its strict mode; limits, time-outs and the end of a connection are ours. What is not
plainly one request after another is refused and the connection closed, so that nobody in between can be made to see
other requests than we do. Its files, in the order in which a request meets them:

    server      the connections there are, how many there may be, and when each must have gone on
    handshakes  TLS before a connection begins
    connection  one connection: bytes in, answers out, in the order of the requests
    head        the bytes before the body, and what they ask for
    body        the bytes behind, as they come
    room        how large they may be, and all of them together
    routes      which door is meant
    messages    a request and an answer as doors know them, without sockets
"""
