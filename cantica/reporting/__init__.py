"""Make reports from records. The modules, in the order in which numbers pass through them:

records     read the records that earlier stages wrote under data/
measures    the type `Measure`: one value per item for each arm
endings     how answers ended (truncated, unfinished), which decides whether scores can be compared
losses, probes, capability, judges
            compute the measures, each module from its own kind of records
inference   intervals, tests and effect sizes
rows        the mean or share of each measure for each arm, and its difference from another arm
results     all measures and rows, and the contents of reports/metrics.json and reports/details.json
effects     the differences in the order in which people read them: findings first
answers     the responses, with what they are filtered and sorted by
curves      the data of charts over iterations
palette     colours for light and dark
charts, forest, steps
            charts as Vega-Lite specifications: losses and checkpoints (shared with DVC's plots), differences, the tree of steps
draw        a specification as SVG
pictures, page, summary
            all pictures, tables of items and the first sentence of reports/report.html
figures     the colours and axes of the pictures that `cantica cite` draws
card        which model, training steps and arm the model card describes
behaviours  the conditions and measures of behaviours in words
wording     write a number, its interval and its conclusion as text
pages       fill the templates
nested      convert nested mappings to dotted paths, and back
"""
