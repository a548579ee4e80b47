"""What events become: rules, those that come with Tocsin and a user's own. In the order in which data meets them:

rule         what a rule says: of which events, which metric, with which labels
bundled      the rules for the kinds of event that Tocsin knows
compiled     a rule made ready for batches
"""
