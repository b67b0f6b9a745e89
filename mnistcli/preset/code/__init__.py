"""Networks in the user's own Python code: what is named, its sources, and whether they may run."""
