"""bellmax beside its peers: one command a table, every measurement in a fresh process. See README.md."""
