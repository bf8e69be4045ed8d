"""The update of a step, and callbacks: going on after a kill, the suite in the logs."""
