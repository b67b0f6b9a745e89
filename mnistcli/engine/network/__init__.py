"""Networks: built from their layers, and described."""
