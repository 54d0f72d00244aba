# The settings of nbgrader for this course; docs/teachers/classroom.md says what to type.
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    ClearOutput,
    ComputeChecksums,
    LimitOutput,
    LockCells,
    OverwriteCells,
    OverwriteKernelspec,
    SaveCells,
)

from course_utils.authoring.grade import collect, export, restore, run

c = get_config()  # noqa: F821

# What you may want to change ------------------------------------------------------------------------------------------
c.CourseDirectory.course_id = "ssl-course"
c.RunSubmission.cell_limit = 60  # seconds
c.RunSubmission.submission_limit = 600  # seconds
c.RunSubmission.memory_limit = 4000  # megabytes
# The names of the files that `nbgrader zip_collect` finds, here STUDENT_06_fixmatch.ipynb, and what a browser adds to a name
c.FileNameCollectorPlugin.named_regexp = r".*[/\\](?P<student_id>[^/\\]+?)_(?P<file_id>\d\d_[a-z]+(_[a-z]+)*).*"

# What makes the grades right: better left as it is --------------------------------------------------------------------
# The notebooks have stubs already, and no solutions to be cleared
c.GenerateAssignment.preprocessors = [LockCells, ClearOutput, CheckCellMetadata, ComputeChecksums, SaveCells]
c.ZipCollectApp.extractor_plugin = collect.AnyArchive
c.Autograde.exporter_class = restore.AnyNotebook
c.Autograde.pre_convert_hook = collect.accept_other_names
c.Autograde.sanitize_preprocessors = [
    ClearOutput,
    OverwriteKernelspec,
    restore.RestoreCells,
    OverwriteCells,
    CheckCellMetadata,
]
c.Autograde.autograde_preprocessors = [
    run.RunSubmission,
    LimitOutput,
    export.SaveGrades,
    AssignLatePenalties,
    CheckCellMetadata,
]
c.ExportApp.plugin_class = export.GradeTable
