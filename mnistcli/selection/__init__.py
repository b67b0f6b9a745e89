"""Which examples, and when: features or scores and a size go in, indices come out."""
