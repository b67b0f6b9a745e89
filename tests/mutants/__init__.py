"""Mutation testing of the parts on which verdicts, files and exports depend."""
