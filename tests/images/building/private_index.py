"""Package indexes, with and without a password: the simple API (PEP 503) over some files."""

from __future__ import annotations

import base64
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from packaging.utils import canonicalize_name

from tests.http_server import QuietHandler, serving

# As it stands in an address; the password is s3cr/t.
SECRET = "s3cr%2Ft"
EXPECTED = "Basic " + base64.b64encode(b"team:s3cr/t").decode()


@contextmanager
def private_index(*files: Path) -> Iterator[str]:
    """Serve these wheels and source distributions to who knows the password; gives host and port."""
    with index_of(*files, authorization=EXPECTED) as address:
        yield address


def metadata_of(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        return next(archive.read(name) for name in archive.namelist() if name.endswith("/METADATA"))


@contextmanager
def index_of(
    *files: Path,
    authorization: str | None = None,
    fragment: Callable[[Path], str] = lambda file: "",
    yanked: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """Serve these files, to everybody unless an authorization is asked for; gives host and port.

    Links are percent-encoded, `%2B` for the plus of a local version, and so are their texts, as some indexes
    have them. `fragment` is the end of a file's link, such as its hash; `yanked` are reasons by file name.
    Metadata is served beside the files (PEP 658), so that a resolver has no need of them.
    """
    pages: dict[str, bytes] = {}
    for file in files:
        project = canonicalize_name(file.name.partition("-")[0])
        path = f"/files/{quote(file.name)}"
        why = (yanked or {}).get(file.name)
        more = "" if why is None else f' data-yanked="{why}"'
        if file.suffix == ".whl":
            more += ' data-core-metadata="true"'
            pages[f"{path}.metadata"] = metadata_of(file)
        link = f'<a href="{path}{fragment(file)}"{more}>{quote(file.name)}</a>'.encode()
        pages[f"/simple/{project}/"] = pages.get(f"/simple/{project}/", b"") + link
        pages[path] = file.read_bytes()

    class Index(QuietHandler):
        def do_GET(self) -> None:
            if authorization and self.headers.get("Authorization") != authorization:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="index"')
                self.end_headers()
            elif self.path not in pages:
                self.send_response(404)
                self.end_headers()
            else:
                body = pages[self.path]
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.do_GET()

    with serving(Index) as server:
        yield f"127.0.0.1:{server.server_port}"
