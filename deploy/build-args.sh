#!/bin/sh
# What a container image's labels say, as arguments of `docker build`, `podman build` or `buildah bud`.
set -eu
cd "$(dirname "$0")/.."
version=$(sed -n 's/^VERSION = "\(.*\)"$/\1/p' ri_platform/version.py)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
# The commit's time, so that building it again gives the same label; now, if there is no commit.
created=$(TZ=UTC git log -1 --format=%cd --date=format-local:%Y-%m-%dT%H:%M:%SZ 2>/dev/null || date -u +%Y-%m-%dT%H:%M:%SZ)
echo "--build-arg=VERSION=$version --build-arg=REVISION=$revision --build-arg=CREATED=$created"
