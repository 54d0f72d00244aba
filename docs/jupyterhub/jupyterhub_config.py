"""JupyterHub for a class on one server. docs/teachers/jupyterhub.md says what to type; tests/test_hub.py runs this file.

The three settings below may also come from the environment.
"""

import os
import sys
from urllib.parse import urlencode

c = get_config()  # noqa: F821, JupyterHub's

# Written by the instructor, read by all: the unpacked bundle, a git repository of its own, and the folder of the data.
COURSE = os.environ.get("HUB_COURSE", "/srv/ssl-course")
DATA = os.environ.get("HUB_DATA", "/srv/ssl-data")
# The web server that speaks HTTPS to the world passes requests on to here.
c.JupyterHub.bind_url = os.environ.get("HUB_URL", "http://127.0.0.1:8000")

# Who may come in: the server's own accounts. Instructors may also stop and start the servers of others.
c.JupyterHub.authenticator_class = "pam"
c.PAMAuthenticator.allowed_groups = {"students"}
c.PAMAuthenticator.admin_groups = {"instructors"}

# Kernels listen on sockets in the student's home: a port of the loopback address could be read by all on this server.
c.Spawner.args = ["--KernelManager.transport=ipc"]

# Each student gets a unit of systemd, with the rights of the own account and no more than this: a lesson at work takes about
# a gigabyte and one core.
c.JupyterHub.spawner_class = "systemd"
c.Spawner.mem_limit = "3G"
c.Spawner.cpu_limit = 1.0
# What nobody has touched for two hours gives its memory back; a training that runs counts as touched.
c.Spawner.args += [
    "--MappingKernelManager.cull_idle_timeout=7200",
    "--MappingKernelManager.cull_connected=True",
    "--ServerApp.shutdown_no_activity_timeout=7200",
]

# The helper package and the data are the shared ones; progress and the recorded runs are the student's own. JupyterLab opens
# without news and without nbgrader's menus, which are for teachers.
c.Spawner.environment = {
    "PYTHONPATH": COURSE,
    "COURSE_DATA": DATA,
    "COURSE_RUNS": "~/ssl-course-runs",
    "JUPYTER_CONFIG_PATH": f"{COURSE}/course_utils/lab_settings",
}

# Whoever comes in gets a copy of the notebooks, or what is new in them, by nbgitpuller; the student's own changes win.
c.Spawner.default_url = "/git-pull?" + urlencode(
    {
        "repo": f"file://{COURSE}",
        "branch": "main",
        "targetpath": "ssl-course",
        "urlpath": "lab/tree/ssl-course/notebooks/00_start_here.ipynb",
    }
)

# Both from the environment that runs the hub; the proxy is the one in Python, which needs no Node.js.
c.Spawner.cmd = [sys.executable, "-m", "jupyterhub.singleuser"]
c.ConfigurableHTTPProxy.command = [os.path.join(sys.prefix, "bin", "configurable-http-proxy")]
