"""The embedded stand-in for AWS, GPU host and Slack: real protocols, real processes, nothing leaves the machine."""
