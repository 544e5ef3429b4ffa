"""The one reader of requirement files: names and texts in, requirements out.

The package knows no database and no web. Other modules call `read`.
"""

from images.requirement_files.archives import files_of_zip
from images.requirement_files.formats import is_lock
from images.requirement_files.reader import read
from images.requirement_files.values import (
    LeftOut,
    Lock,
    LockedFile,
    LockedPackage,
    Reading,
    ReadRequirement,
    Refused,
    Supplied,
    SuppliedFile,
)

__all__ = [
    "LeftOut",
    "Lock",
    "LockedFile",
    "LockedPackage",
    "ReadRequirement",
    "Reading",
    "Refused",
    "Supplied",
    "SuppliedFile",
    "files_of_zip",
    "is_lock",
    "read",
]
