"""JSON documents, run folders and weights: everything that is written to disk."""
