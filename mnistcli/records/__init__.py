"""What a run leaves: the JSON documents, the run folder, the weights."""
