"""The sets of libraries that builds are measured with: of many small wheels, and of few large ones."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class LibrarySet:
    """What is asked for, and the statement that imports it."""

    name: str
    libraries: tuple[str, ...]
    statement: str
    # The last of the libraries, of a set that was made of another.
    added: tuple[str, ...] = ()

    @property
    def with_one_more(self) -> LibrarySet:
        """The set and a small library besides, as an image that is built a second time with one more."""
        more = ("humanize",)
        return replace(
            self, name=f"{self.name} + humanize", libraries=(*self.libraries, *more), added=more
        )


_ALL = (
    LibrarySet(
        "language",
        ("transformers", "tokenizers", "onnxruntime"),
        "import transformers, tokenizers, onnxruntime",
    ),
    LibrarySet(
        "vision",
        ("opencv-python-headless", "scipy", "matplotlib", "pyarrow"),
        "import cv2, scipy.optimize, matplotlib.pyplot, pyarrow",
    ),
    LibrarySet(
        "web",
        ("fastapi", "uvicorn[standard]", "sqlalchemy", "httpx"),
        "import fastapi, uvicorn, sqlalchemy, httpx",
    ),
    LibrarySet("data", ("numpy", "pandas", "scikit-learn"), "import numpy, pandas, sklearn"),
    LibrarySet(
        "notebook",
        ("jupyterlab", "mlflow-skinny", "dask[complete]"),
        "import jupyterlab, mlflow, dask.dataframe",
    ),
    LibrarySet("trees", ("xgboost", "lightgbm"), "import xgboost, lightgbm"),
)
SETS = {item.name: item for item in _ALL}
