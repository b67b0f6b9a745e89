"""Does it hold: intervals and budget checks. Nothing here imports torch."""
