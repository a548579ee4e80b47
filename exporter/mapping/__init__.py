"""What events become: rules, those that come with Tocsin and a user's own. In the order in which data meets them:

rule         what a rule says: of which events, which metric, with which labels
bundled      the rules for the kinds of event that Tocsin knows
pattern      regular expressions that end in time, and what they put in place
file         rules as people write them in exporter.yml
checks       what can be wrong with those
lint         what is no fault of a metric, and hardly meant
made         rules made of them
compiled     a rule made ready for batches
"""
