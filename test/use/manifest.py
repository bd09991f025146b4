"""Prints what a tree is, a JSON object a line, in an order of its own: two trees are equal where their
manifests are.

    manifest.py DIR

Each entry has type and mode, owner, modification time in nanoseconds, and where they apply size, hash
of the contents, link target, device, extended attributes, and the first name of a file with several.
"""

import hashlib
import json
import os
import stat
import sys


def text(name):
    return name.decode("latin1")


def contents(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            digest.update(piece)
    return digest.hexdigest()


def xattrs(path):
    # Attributes of the disk below that no copy carries are left out.
    names = [n for n in os.listxattr(path, follow_symlinks=False) if not n.startswith("security.selinux")]
    return {n: text(os.getxattr(path, n, follow_symlinks=False)) for n in sorted(names)}


def entry(path, name, seen):
    found = os.lstat(path)
    kind = stat.S_IFMT(found.st_mode)
    about = {
        "name": text(name),
        "mode": oct(found.st_mode),
        "owner": [found.st_uid, found.st_gid],
        "mtime": found.st_mtime_ns,
    }
    attributes = xattrs(path)
    if attributes:
        about["xattrs"] = attributes
    if kind == stat.S_IFREG:
        about["size"] = found.st_size
        about["links"] = found.st_nlink
        about["sha256"] = contents(path)
        if found.st_nlink > 1:
            about["same"] = text(seen.setdefault(found.st_ino, name))
    elif kind == stat.S_IFLNK:
        about["target"] = text(os.readlink(path))
    elif kind in (stat.S_IFCHR, stat.S_IFBLK):
        about["device"] = [os.major(found.st_rdev), os.minor(found.st_rdev)]
    return about


def main():
    root = os.fsencode(sys.argv[1])
    paths = [root]
    for folder, folders, files in os.walk(root):
        paths.extend(os.path.join(folder, name) for name in folders + files)
    seen = {}
    for path in sorted(paths):
        print(json.dumps(entry(path, path[len(root) :], seen), sort_keys=True))


main()
