"""How PostgreSQL servers are doing: asked in the background, one connection to each, in postgres_exporter's names.

settings   what exporter.yml says of servers
query      what a question is, and how its rows become samples
questions  what is asked, and how often
server     one server: connected, asked, given up in time
about      what is known of all servers, as families
part       all servers, as a part of the exporter that follows the plan
doors      what people ask: GET /stats/postgres
"""
