"""Sources that are copied into the interpreters of a simulated host; nothing here imports them."""
