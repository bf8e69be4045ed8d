"""The command line: arguments to the functions below, what is printed, what the demo runs."""
