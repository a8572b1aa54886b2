"""Planning with a model that is known: search before every move."""
