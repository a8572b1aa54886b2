"""One round - collect, remember, learn - driven in two places: in the graph, and on the host."""
