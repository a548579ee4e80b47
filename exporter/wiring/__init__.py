"""Where the parts of the exporter are put together; nothing else knows them all.

    program       the program: the groups below, the roles that they fill, the doors in front, the start and the end
    applications  what applications say, from bytes to series
    security      what is found in it, what becomes of that, and who is kept out
    elsewhere     what is asked of others: probes, dependencies, PostgreSQL

A group has what others need of it, under the same names: `follow` are those of its parts that follow the plan,
`publishers` tell what it knows, `routes` are its doors, and `begin` starts what runs beside the doors.
"""
