"""Verdicts: confidence intervals, tests, budgets, claims and comparisons. Without torch."""
