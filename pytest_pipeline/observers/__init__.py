"""Looking at the world: each observation looks once a run and yields typed readings. Nothing here knows pytest."""
