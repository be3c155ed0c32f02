"""Make reports from records. The modules, in the order in which numbers pass through them:

records     read the records that earlier stages wrote under data/
measures    the type `Measure`: one value per item for each arm
endings     how answers ended (truncated, unfinished), which decides whether scores can be compared
losses, probes, capability, judges
            compute the measures, each module from its own kind of records
inference   intervals, tests and effect sizes
rows        the mean or share of each measure for each arm, and its difference from another arm
results     all measures and rows, and the contents of reports/metrics.json and reports/details.json
figures     the loss curve, and the colours and lines of charts
card        which model, training steps and arm the model card describes
behaviours  the conditions and measures of behaviours in words
wording     write a number, its interval and its conclusion as text
pages       fill the templates
nested      convert nested mappings to dotted paths, and back
"""
