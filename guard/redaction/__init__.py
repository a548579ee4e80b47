"""Personal data in texts: found, and replaced by a word in brackets that says what stood there.

Everything is a function of its arguments, and takes time that grows no faster than the text. Nothing here knows events
or alerts. In the order in which a text meets them:

    plain      a text as a reader would take it: escapes undone, one form for each character
    text       all of the following on one text
    secrets    passwords, keys and tokens, and what was drawn by chance
    mail       e-mail addresses
    addresses  IPv4, IPv6 and MAC addresses, and networks in place of them
    digits     cards, accounts, telephones, and other long numbers
    checks     check digits, and how to tell chance from words
    path       URLs and paths as templates
    sql        statements as templates
    ways       what may be done with the values of a field
    names      fields whose name alone says that a person is meant
"""

# What can be found, as it is counted.
PATTERNS = (
    "card",
    "email",
    "field",
    "iban",
    "id",
    "ip",
    "literal",
    "location",
    "mac",
    "number",
    "phone",
    "query",
    "secret",
    "ssn",
    "token",
    "user",
    "uuid",
)
