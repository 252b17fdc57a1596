"""The `lutcore` command: thin, one module a subcommand."""
