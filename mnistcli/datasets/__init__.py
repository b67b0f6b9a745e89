"""Images in: files in MNIST's format and pictures become examples."""
