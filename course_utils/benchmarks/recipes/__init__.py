"""How the recipes of the lessons were chosen: cross-validation inside the labels, `python -m course_utils.benchmarks.recipes`."""
