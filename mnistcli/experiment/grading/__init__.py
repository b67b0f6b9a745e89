"""Submissions of others, each graded in processes of its own with limits."""
