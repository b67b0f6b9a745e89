"""The ledger: what every bundled preset gave here, beside what was claimed."""
