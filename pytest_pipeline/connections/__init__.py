"""How a command reaches a host: ssh through fabric, the user's own ssh, or this machine. One small protocol."""
