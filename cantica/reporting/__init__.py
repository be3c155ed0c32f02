"""From records to reports. The modules in the order in which numbers pass through them:

records     read what the stages before wrote under data/
measures    what a measure is: one value per item for each arm
endings     how answers ended (truncated, unfinished), which decides whether scores can be compared
losses, probes, capability, judges
            make the measures, each from records of its kind
inference   intervals, tests and effect sizes
rows        the mean or share of each measure for each arm, and its difference from another arm
results     all of these; nests them in reports/metrics.json and reports/details.json
figures     what the charts show
card        what the model card is about
wording     how a number, its interval and its conclusion read
pages       fill the templates
nested      between nested mappings and dotted paths
"""
