"""What happened lately, for programs that have no Prometheus at hand: `/stats/graphql`, `/stats/websocket`. All but its
doors is pure.

    words        yes and no, as applications spell them
    minutes      what was counted and measured, minute by minute, and hour by hour for longer windows
    graphql      queries that were looked at before they ran: accepted, rejected, how large they were
    websocket    connections and messages
    doors        both as JSON
"""
