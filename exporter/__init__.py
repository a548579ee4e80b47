"""The exporter: what this machine and its applications have to say, as metrics that are safe to scrape.

One process, state in memory. Its files, in the order in which data meets them:

    __main__     the command line: reads what was chosen, and starts it
    commandline  the flags
    wiring/      where the parts are put together; nothing else knows them all
    choices      which collectors run, and how each is set: their flags
    settings     exporter.yml, and everything that can be wrong with it
    lint         what is no fault of it, and hardly meant
    foreign      what is said about flags of node_exporter that are none here
    duration     how durations are written
    wholefile    small files of our own that are replaced as a whole
    control      what is in force, and how a reload replaces it
    collectors/  what the kernel says, one file a subject
    escaping     which names are legal, and how those beyond ASCII are written
    points       what a sample can hold: a number, a histogram, a summary, a count with an exemplar
    layout       the lines of a family's series, kept from one scrape to the next
    family       a metric family: the one value that travels from here to the page
    pool         threads for work that may never come back
    run          one pass over some collectors
    registry     runs the collectors: in time, apart from each other, never twice at once
    outcome      what became of each collector, and one list of families without clashes
    metrics      what the exporter says about itself
    process      what the kernel says about the exporter's own process
    roles        what a scraper can ask for alone
    negotiation  what the scraper says about its wishes
    compound     lines of values that are more than a number
    exposition   families into the bytes of a page
    page         from roles and wishes to the bytes that are sent, once for all who want the same
    health       is the exporter well, and what it looks after?
    startpage    the same for people, at `/`
    reader       bytes into events, each kind with the fields that somebody asks for
    redaction    what is left of each field of them, by the rules of exporter.yml
    columns      many events of one kind, decoded, into columns
    identity     who something came from, as a number for detectors
    event        events as columns: checked, redacted, and bounded
    intake/      how events come in: over HTTP, from logs, as packets
    mapping/     what events become: rules, those that come with Tocsin and a user's own
    series/      what was counted, in memory, bounded in number and in time
    stats/       what happened lately, as JSON for programs without a Prometheus
    pipeline     all of these together: from what was sent to series, without a clock
    detectors/   who looks for attacks and for what is unusual
    detection    all of them at work, without a clock
    detecting    which of them are, and how each is set: they follow the plan
    listfiles    lists of malicious addresses, read again when they change
    finding      what a detector says
    findings/    what becomes of it: counts, log, JSON, alerts
    reputation/  whose address is blocked for it, and for how long
    score/       how safe it all looks, in one number
    probes/      is something elsewhere well?
    dependencies/  what is needed here: which of it is sick, because of what
    postgres/    how PostgreSQL servers are doing
    doors        the HTTP doors in front of all this
"""
