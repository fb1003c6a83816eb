"""The run folder, and what a run ran on."""
