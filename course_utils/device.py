"""Where torch computes, and with how many threads: the settings that torch has to agree with."""

import torch

from course_utils.settings import DEVICE_NAME, NUM_THREADS, SettingError

torch.set_num_threads(NUM_THREADS)


def _usable(name: str) -> torch.device:
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise SettingError(f"COURSE_DEVICE is {name!r}, but torch cannot use it here ({reason}): try cpu.") from None
    return torch.device(name)


DEVICE = _usable(DEVICE_NAME or ("cuda" if torch.cuda.is_available() else "cpu"))
