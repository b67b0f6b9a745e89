"""Methods of selecting a coreset, one module for each family."""
