"""Options in a requirements.txt: what they mean on a platform whose operator configures the indexes."""

from __future__ import annotations

import optparse
from urllib.parse import SplitResult, urlsplit

from images.requirement_files.draft import Draft, Place
from images.requirement_files.explanations import explain_source


def apply_options(draft: Draft, place: Place, line: str, options: optparse.Values) -> None:
    """Write a line of options into the draft."""
    try:
        if options.editables:
            raise ValueError(explain_source(options.editables[0]))
        if options.no_index:
            raise ValueError("Libraries come from the configured indexes; leave --no-index out.")
        apply_indexes(draft, options)
        apply_releases(draft, place, line, options)
    except ValueError as error:
        draft.refuse(place, line, str(error))
        return
    for host in options.trusted_hosts or ():
        apply_trusted_host(draft, place, line, host)


def apply_indexes(draft: Draft, options: optparse.Values) -> None:
    """Replace addresses by the names of configured indexes. Raises `ValueError` with a sentence."""
    if options.index_url:
        draft.only_index = index_named_by(draft, options.index_url)
        if draft.only_index not in draft.indexes:
            draft.indexes.append(draft.only_index)
    for address in [*(options.extra_index_urls or ()), *(options.find_links or ())]:
        name = index_named_by(draft, address)
        if name not in draft.indexes:
            draft.indexes.append(name)


def index_named_by(draft: Draft, address: str) -> str:
    """The name of the configured index with an address. Raises `ValueError` with a sentence."""
    if address in draft.rules.indexes:
        return address
    configured = "The platform has " + listed(list(draft.rules.indexes)) + "."
    try:
        wanted = urlsplit(address)
        port_free = comparable(wanted)
    except ValueError as error:
        raise ValueError(f"The address cannot be read; leave the line out. {configured}") from error
    if "@" in wanted.netloc or "${" in address:
        raise ValueError(
            "An address with credentials is not taken and not kept, as the operator configures them; "
            f"leave the line out. {configured}"
        )
    for name, known in draft.rules.indexes.items():
        if comparable(urlsplit(known)) == port_free:
            return name
    raise ValueError(
        f"No index with this address is configured; ask the operator for it or leave the line out. "
        f"{configured}"
    )


def comparable(address: SplitResult) -> tuple[str, str, int | None, str]:
    """What makes two addresses one: the case of the host, credentials and a slash at the end do not."""
    default = {"https": 443, "http": 80}.get(address.scheme)
    port = address.port
    return (
        address.scheme,
        address.hostname or "",
        port if port is not None else default,
        address.path.rstrip("/"),
    )


def listed(names: list[str]) -> str:
    if not names:
        return "no index that can be named"
    if len(names) == 1:
        return f"the index {names[0]}"
    return f"the indexes {', '.join(names[:-1])} and {names[-1]}"


def apply_releases(draft: Draft, place: Place, line: str, options: optparse.Values) -> None:
    """Write what chooses among releases and files. Raises `ValueError` with a sentence."""
    control = options.release_control
    if options.pre or (control and control.all_releases == {":all:"}):
        draft.prereleases = True
    elif control and (control.all_releases or control.only_final):
        raise ValueError("Pre-releases are taken of all libraries or none; write --pre or nothing.")
    if options.prefer_binary:
        reason = "Wheels are always preferred: older versions with one are tried before any source build."
        draft.leave_out(place, line, reason)
    if options.require_hashes:
        draft.require_hashes = place
    formats = options.format_control
    if formats and formats.no_binary:
        raise ValueError("Wheels are always taken where there are some; leave --no-binary out.")
    if formats and formats.only_binary:
        reason = "The image's own setting says whether a library may be built from source."
        draft.leave_out(place, line, reason)
    if options.features_enabled:
        draft.leave_out(place, line, "It is about pip itself, which does not build the image.")
    if options.hashes:
        draft.leave_out(place, line, "pip ignores a hash without a requirement.")


def apply_trusted_host(draft: Draft, place: Place, line: str, host: str) -> None:
    known = {
        part
        for address in draft.rules.indexes.values()
        for part in (urlsplit(address).hostname, urlsplit(address).netloc.rpartition("@")[2])
    }
    if host in known:
        draft.leave_out(place, line, "The operator configures how this index is reached.")
        return
    configured = "The platform has " + listed(list(draft.rules.indexes)) + "."
    draft.refuse(
        place, line, f"No configured index is on {host[:100]}; leave the line out. {configured}"
    )
