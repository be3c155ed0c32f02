"""A Llama on a CPU: blocks with their exact gradients, compiled by numba around the products of OpenBLAS.

The unit of work is a *group*: a few whole texts, which go through all blocks on one core. Cores share nothing within a block,
and wait for each other only at the end. Groups, and the order in which their gradients are added, do not depend on the number
of cores or on the load, and neither do the results.

Shapes: T rows (tokens of all texts of a group), D size of a hidden state, F of the feed-forward layer, H heads, G heads of
keys, S size of a head, V vocabulary, I and O inputs and outputs of a linear layer, R rank.
"""
