"""The papers' comparisons as studies: searches and trainings that are run, measured, drawn and put into words."""
