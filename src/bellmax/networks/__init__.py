"""Networks: equinox modules whose every leaf is an array. Written for one input; `vmap` for many."""
