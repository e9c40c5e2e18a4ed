"""The commands of ``python -m worker``, one file a command or group of commands."""
