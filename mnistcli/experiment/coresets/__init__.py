"""Select a coreset, for a run or for the `coreset` command."""
