"""What a person sees: tables, pictures, reports and progress. Nothing here computes a result."""
