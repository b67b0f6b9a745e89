"""Many trainings of several arms over seeds, compared in pairs."""
