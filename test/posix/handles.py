"""File handles: `save STORE PATH...` notes them, `open STORE MOUNT` opens each and says what it finds.

name_to_handle_at(2), open_by_handle_at(2). For each handle one line of output: what it was named
when it was noted, then its present path and contents, or the error's name.
"""

import ctypes
import errno
import json
import os
import stat
import sys

libc = ctypes.CDLL(None, use_errno=True)
MAX_HANDLE = 128
AT_FDCWD = -100
O_PATH = os.O_PATH


class Handle(ctypes.Structure):
    _fields_ = [
        ("bytes", ctypes.c_uint),
        ("type", ctypes.c_int),
        ("data", ctypes.c_ubyte * MAX_HANDLE),
    ]


def fail():
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))


def save(store, paths):
    noted = []
    for path in paths:
        handle, mount_id = Handle(bytes=MAX_HANDLE), ctypes.c_int()
        if libc.name_to_handle_at(AT_FDCWD, path.encode(), ctypes.byref(handle), ctypes.byref(mount_id), 0):
            fail()
        noted.append([path, handle.type, list(handle.data[: handle.bytes]), os.lstat(path).st_ino])
    with open(store, "w") as file:
        json.dump(noted, file)


def describe(mount, kind, data):
    handle = Handle(bytes=len(data), type=kind)
    handle.data[: len(data)] = data
    fd = libc.open_by_handle_at(mount, ctypes.byref(handle), O_PATH)
    if fd < 0:
        fail()
    mode = os.fstat(fd).st_mode
    if stat.S_ISLNK(mode):
        return "-> " + os.readlink("", dir_fd=fd)
    if stat.S_ISDIR(mode):
        entries = sorted(os.listdir(f"/proc/self/fd/{fd}"))
        return os.readlink(f"/proc/self/fd/{fd}") + " " + ",".join(entries)
    with open(f"/proc/self/fd/{fd}") as file:
        return repr(file.read())


def open_all(store, path):
    mount = os.open(path, os.O_RDONLY)
    with open(store) as file:
        noted = json.load(file)
    for name, kind, data, ino in noted:
        try:
            print(name, describe(mount, kind, data))
        except OSError as error:
            print(name, errno.errorcode[error.errno])


if sys.argv[1] == "save":
    save(sys.argv[2], sys.argv[3:])
elif sys.argv[1] == "open":
    open_all(sys.argv[2], sys.argv[3])
