"""Starts the kernel in which a student's code is graded: with limits, and where Linux offers it, in a sandbox.

Copied beside the students' `course_utils` and run as a script: `python kernel.py '{"memory": ..., "seconds": ...}' -f connection.json`.
The sandbox is Landlock (Linux 5.13 and newer, man 7 landlock): this process and all that it starts see only the folders named
here, open no TCP connection (from 6.7) and send no signal to another process (from 6.12). It needs no privilege and no container.
"""

import ctypes
import json
import os
import resource
import sys

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # system calls, the same on every processor
NO_NEW_PRIVILEGES = 38
EXECUTE, WRITE_FILE, READ_FILE, READ_FOLDER, TRUNCATE, IOCTL = 1, 2, 4, 8, 1 << 14, 1 << 15
READ = EXECUTE | READ_FILE | READ_FOLDER
CONNECT_TCP, SIGNALS, ABSTRACT_SOCKETS = 1 << 1, 1 << 1, 1 << 0

libc = ctypes.CDLL(None, use_errno=True)


class Ruleset(ctypes.Structure):
    _fields_ = [("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def landlock_version() -> int:
    """Which version of Landlock this system offers; 0 for none."""
    return max(0, libc.syscall(CREATE_RULESET, None, 0, 1)) if sys.platform == "linux" else 0


def limit(memory: int, seconds: int, file_size: int = 200_000_000) -> None:
    """Bytes of memory that can be written to (torch reserves far more addresses than it uses), seconds of computing."""
    for kind, most in (
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, file_size),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def readable() -> list[str]:
    """What Python and its packages need, and nothing that a course or a student wrote."""
    python = [f"{prefix}/{part}" for prefix in {sys.prefix, sys.base_prefix} for part in ("bin", "lib", "lib64")]
    packages = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    system = ["/usr/bin", "/usr/lib", "/usr/lib64", "/lib", "/lib64", "/bin", "/usr/share/fonts", "/usr/share/zoneinfo"]
    settings = ["/etc/ld.so.cache", "/etc/fonts", "/etc/localtime", "/etc/passwd", "/etc/nsswitch.conf"]
    machine = ["/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/sys"]
    return [*python, *packages, *system, *settings, *machine, "/dev/urandom", "/dev/random", "/dev/zero"]


def confine(version: int, workplace: str) -> None:
    """Let this process and its children read `readable()` and write in `workplace`; OSError if that fails."""
    known = [0, 13, 14, 15, 15, 16, 16, 16][min(version, 7)]  # how many kinds of access to files each version knows
    everything = (1 << known) - 1
    net, scoped = (CONNECT_TCP if version >= 4 else 0), (SIGNALS | ABSTRACT_SOCKETS if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = _checked(libc.syscall(CREATE_RULESET, ctypes.byref(Ruleset(everything, net, scoped)), size, 0))
    allowed = {path: READ for path in readable()} | {"/dev/null": READ_FILE | WRITE_FILE, workplace: everything}
    for path, access in allowed.items():
        if os.path.exists(path):
            parent = os.open(path, os.O_PATH)
            files_only = everything if os.path.isdir(path) else EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL
            rule = Beneath(access & everything & files_only, parent)
            _checked(libc.syscall(ADD_RULE, ruleset, 1, ctypes.byref(rule), 0))
            os.close(parent)
    _checked(libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    _checked(libc.syscall(RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


if __name__ == "__main__":
    settings = json.loads(sys.argv.pop(1))
    limit(settings["memory"], settings["seconds"])
    if landlock_version():
        confine(landlock_version(), os.path.dirname(os.path.realpath(__file__)))
    from ipykernel.kernelapp import launch_new_instance

    launch_new_instance()
