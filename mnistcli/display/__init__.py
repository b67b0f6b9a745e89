"""What a person sees: tables and progress. Nothing here computes a result."""
