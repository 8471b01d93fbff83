"""How a command reaches a host: one small protocol, one file for each way."""
