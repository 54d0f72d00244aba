"""What nbgrader's `autograde` and `export` need to grade this course: given to it by the nbgrader_config.py of `course release`.

nbgrader hands a notebook through preprocessors. Some of its own stop at what real submissions contain (a file that is no
JSON, a cell deleted with its check, a kernel that dies), and a check's points go to whatever cell ended without error. Those
here come in their place: whatever is handed in gets a grade, and every lost point a reason in words.
"""
