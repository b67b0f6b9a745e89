"""What a crash may leave of the files of a run, state by state."""
