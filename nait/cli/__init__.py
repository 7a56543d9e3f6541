"""The command line: arguments and config, help, display."""
