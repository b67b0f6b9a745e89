"""The ledger: what every bundled preset reached, beside what was claimed."""
