"""Options that the reader of requirement files takes, and what each has to come to in an image's spec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from images.spec import ImageSpec

HASH = f"sha256:{'1' * 64}"
TORCH = "https://torch.example/whl/cpu"
INDEXES = ["internal=https://in.example/simple", f"pytorch-cpu={TORCH}"]
PROJECT = '[project]\nname = "churn"\nrequires-python = "{}"\ndependencies = ["six"]\n'
PYLOCK = f"""\
lock-version = "1.0"
created-by = "tests"
[[packages]]
name = "six"
version = "1.17.0"
[[packages.wheels]]
url = "https://files.example/six-1.17.0-py3-none-any.whl"
hashes = {{sha256 = "{"1" * 64}"}}
"""


@dataclass(frozen=True)
class Said:
    """What a spec says of where its libraries come from: of all of them, and of six."""

    allow_prereleases: bool = False
    indexes: tuple[str, ...] = ()
    python_version: str = "3.11"
    six: str = "six"
    index: str = ""
    hashes: tuple[str, ...] = ()

    @classmethod
    def by(cls, spec: ImageSpec) -> Said:
        (six,) = spec.pip_requirements
        return cls(
            spec.allow_prereleases, spec.indexes, spec.python_version,
            str(six), six.index, six.hashes,
        )  # fmt: skip


# What a requirements.txt says, and what comes of it.
TAKEN: dict[str, tuple[str, Said]] = {
    "none": ("six\n", Said()),
    "pre": ("--pre\nsix\n", Said(allow_prereleases=True)),
    "extra-index-url": (f"--extra-index-url {TORCH}/\nsix\n", Said(indexes=("pytorch-cpu",))),
    "find-links": (f"--find-links {TORCH}\nsix\n", Said(indexes=("pytorch-cpu",))),
    "index-url": (
        f"--index-url {TORCH}\nsix\n",
        Said(indexes=("pytorch-cpu",), index="pytorch-cpu"),
    ),
    "default-index-url": ("--index-url https://pypi.org/simple\nsix\n", Said()),
    "prefer-binary": ("--prefer-binary\nsix\n", Said()),
    "hash": (f"six==1.17.0 --hash={HASH}\n", Said(six="six==1.17.0", hashes=(HASH,))),
    "require-hashes": (
        f"--require-hashes\nsix==1.17.0 --hash={HASH}\n",
        Said(six="six==1.17.0", hashes=(HASH,)),
    ),
    "python": (PROJECT.format("==3.11.*"), Said()),
}
# And what is refused, with a part of the sentence.
REFUSED: dict[str, tuple[str, str]] = {
    "index-unknown": ("--extra-index-url https://other.example/\nsix\n", "No index with this"),
    "no-index": ("--no-index\nsix\n", "leave --no-index out"),
    "no-binary": ("--no-binary :all:\nsix\n", "leave --no-binary out"),
    "some-prereleases": ("--all-releases six\nsix\n", "of all libraries or none"),
    "require-hashes": ("--require-hashes\nsix==1.17.0\n", "six has no hash"),
    "hash-of-sha512": (f"six==1.17.0 --hash=sha512:{'1' * 128}\n", "none with sha256"),
    "python": (PROJECT.format("==3.9.*"), "choose another Python"),
    "constraint-missing": ("-c bounds.txt\nsix\n", "bounds.txt"),
}


def configure(settings: Any) -> None:
    settings.PACKAGE_EXTRA_INDEX_URLS = INDEXES
    settings.PACKAGE_EXPLICIT_INDEXES = ["pytorch-cpu"]


# The same for a web process.
VARIABLES = {
    "RI_PACKAGE_EXTRA_INDEX_URLS": ",".join(INDEXES),
    "RI_PACKAGE_EXPLICIT_INDEXES": "pytorch-cpu",
}
