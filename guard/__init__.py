"""What both programs' doors must share, and what must not diverge between them.

A leaf: it imports neither `exporter` nor `receiver`, and it knows nothing of metrics or incidents.
Its files, in the order in which a starting program meets them:

    flags       the command line, each flag also an environment variable
    trail       by what a request is found again
    logline     a log record as one line
    logwriter   where log lines go
    log         one event is one line
    faults      what is wrong with a file, and what a kind of file is
    document    YAML text into a plain document that knows its lines
    expansion   `${NAME}` in a document, from the environment
    wording     what a schema asks for and what a document says, in plain words
    shape       a document held against a JSON schema, every fault at once
    secretive   what may not be written out in a file, and which values are paths
    configfile  all of the above: a file in, a frozen typed value out
    matcher     conditions as Alertmanager writes them
    tokens      bearer tokens from files
    secretfile  one secret from a file
    callers     roles, and what doors need
    passwords   bcrypt, in a thread, and what was right before
    webfile     web.yml as people write it
    tls         its certificates and versions
    webconfig   web.yml in force, read again when it changes
    limits      how often somebody may do something
    access      who a caller is
    judge       before every door: may they, and not too often
    doorkeeper  the judge before the doors of the web framework
    printable   text from anywhere, fit for somebody's terminal
    redaction/  personal data in texts, found and replaced
    peers       who is on the other end of a connection
    version     which Tocsin this is
    web/        HTTP without a web framework behind doors
    listen      addresses, signals and the event loop
    systemd     what systemd hands over, and wants to hear
    framework   the web framework behind doors
"""
