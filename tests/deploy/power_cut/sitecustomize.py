"""Cuts the power of an installation at its n-th change of the file system.

Python imports this at the start of the installer and of the programs it calls. Each change is one
byte in a file that they share; at the wanted one, SIGKILL ends them all.
"""

import os
import signal
import sys

NOTES = os.environ["POWER_CUT_NOTES"]
KILL_AT = int(os.environ["POWER_CUT_AT"])
CHANGES = {
    "os.mkdir",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.symlink",
    "os.chmod",
    "os.truncate",
    "os.utime",
    "shutil.copyfile",
    "subprocess.Popen",
}
WRITING = os.O_WRONLY | os.O_RDWR


def on_event(event: str, arguments: tuple) -> None:
    if event == "open" and isinstance(arguments[2], int):
        if arguments[0] == NOTES or not arguments[2] & WRITING:
            return
    elif event not in CHANGES:
        return
    handle = os.open(NOTES, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, b".")
    count = os.fstat(handle).st_size
    os.close(handle)
    if count == KILL_AT:
        os.killpg(0, signal.SIGKILL)


sys.addaudithook(on_event)
