"""How the work is done without ociassemble: scripts of uv, tar, crane, umoci, skopeo, buildah and BuildKit.

Scripts are bash, run with `-euo pipefail` in a folder that holds `app/`. They are told: BASE, the base image; REPO and
TAG, where the result goes; SITE, where Python of the base looks for packages; MACHINE; COMMAND, the words that start
the application; WORK, the folder of the whole run; BUILDAH, with a store of its own; BUILDCTL, with the socket of a
daemon of its own. Each tool gets what makes its result the same every time where it has it, and packages from uv, warm,
offline.
"""

from __future__ import annotations

from typing import NamedTuple

SITE = "/usr/lib/python3/dist-packages"  # where Debian's Python looks for packages

UV = "--no-deps --require-hashes --only-binary :all: --python-version 3.13 --python-platform $MACHINE-manylinux_2_40"
INSTALL = f"""\
uv pip install -q --offline --link-mode copy {UV} --target deps$SITE -r app/requirements.txt
rm -f deps$SITE/.lock
"""
TAR = "tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@315619200"
CONFIGURE = (
    'crane mutate $REPO:$TAG --workdir /app --cmd="${COMMAND// /,}" --env PORT=8080 --exposed-ports 8080 '
    "--tag $REPO:$TAG"
)


class Method(NamedTuple):
    """A way to do it: `first` makes every layer and pushes, `again` is for a changed source file; both are timed.

    `ready` is not timed and comes before `first`: what this tool may have at hand, and nothing else. `daemon` names the
    process that works for the script, whose CPU time counts as well.
    """

    title: str
    programs: tuple[str, ...]
    first: str
    again: str
    ready: str = ""
    daemon: str = ""


def _crane(compress: str, suffix: str) -> str:
    """uv, tar, a compressor in the pipe, `crane append`; without one crane compresses by itself."""
    pipe = f"-cf - usr | {compress} > deps.tar{suffix}" if compress else "-cf deps.tar usr"
    return f"""\
rm -rf deps
{INSTALL}{TAR} -C deps {pipe}
{TAR} -cf app.tar app
crane append --base $BASE --new_layer deps.tar{suffix} --new_layer app.tar --new_tag $REPO:$TAG
{CONFIGURE}
"""


def _piped(title: str, program: str, compress: str, suffix: str) -> Method:
    script = _crane(compress, suffix)
    return Method(f"uv, tar, {title}, crane", ("uv", "crane", program), script, script)


def _buildkit(compression: str) -> Method:
    output = "type=image,name=$REPO:$TAG,push=true,registry.insecure=true,oci-mediatypes=true"
    build = (
        "$BUILDCTL build --progress plain --frontend dockerfile.v0 --local context=. --local dockerfile=. --output "
        f"{output},compression={compression},force-compression=false\n"
    )
    return Method(
        "uv, BuildKit" + (f" ({compression})" if compression != "gzip" else ""),
        ("uv", "buildctl", "buildkitd"),
        f"rm -rf deps\n{INSTALL}{build}",
        build,
        # Everything is forgotten, then the base is fetched again: a file on top of it needs it unpacked.
        """\
$BUILDCTL prune --all >/dev/null
mkdir -p only-base && echo base > only-base/file
printf 'FROM %s\\nCOPY file /file\\n' $BASE > only-base/Dockerfile
$BUILDCTL build --frontend dockerfile.v0 --local context=only-base --local dockerfile=only-base
words=$(printf '"%s", ' $COMMAND)
printf 'FROM %s\\nCOPY deps /\\nCOPY app /app\\nWORKDIR /app\\nENV PORT=8080\\nEXPOSE 8080\\nCMD [%s]\\n' \\
    $BASE "${words%, }" > Dockerfile
printf 'only-base\\n' > .dockerignore
""",
        daemon="buildkitd",
    )


METHODS = {
    "crane": Method("uv, tar, crane", ("uv", "crane"), _crane("", ""), _crane("", "")),
    "crane-pigz": _piped("pigz -1", "pigz", "pigz -1 -c", ".gz"),
    "crane-igzip": _piped("igzip", "igzip", "igzip -c", ".gz"),
    "crane-zstd": _piped("zstd -T2", "zstd", "zstd -q -T2 -c", ".zst"),
    "crane-kept": Method(
        "uv, tar, crane: dependencies kept as an image",
        ("uv", "crane"),
        f"""\
rm -rf deps
{INSTALL}{TAR} -C deps -cf deps.tar usr
crane append --base $BASE --new_layer deps.tar --new_tag $REPO:deps
{CONFIGURE.replace("mutate $REPO:$TAG", "mutate $REPO:deps").replace("--tag $REPO:$TAG", "--tag $REPO:deps")}
{TAR} -cf app.tar app
crane append --base $REPO:deps --new_layer app.tar --new_tag $REPO:$TAG
""",
        f"""\
{TAR} -cf app.tar app
crane append --base $REPO:deps --new_layer app.tar --new_tag $REPO:$TAG
""",
    ),
    "umoci": Method(
        "uv, umoci, skopeo",
        ("uv", "umoci", "skopeo"),
        f"""\
rm -rf deps
{INSTALL}find deps app -exec touch -h -d @315619200 {{}} +
WHEN="--history.created 1980-01-02T00:00:00Z"
umoci insert --image layout:v1 --tag deps $WHEN deps$SITE $SITE
umoci config --image layout:deps --created 1980-01-02T00:00:00Z $WHEN --config.workingdir /app \\
    --config.env PORT=8080 --config.exposedports 8080 $(printf -- '--config.cmd=%s ' $COMMAND)
umoci insert --image layout:deps --tag app $WHEN app /app
skopeo --insecure-policy copy -q --dest-tls-verify=false oci:layout:app docker://$REPO:$TAG
""",
        """\
find app -exec touch -h -d @315619200 {} +
umoci insert --image layout:deps --tag app --history.created 1980-01-02T00:00:00Z app /app
skopeo --insecure-policy copy -q --dest-tls-verify=false oci:layout:app docker://$REPO:$TAG
""",
        ready="rm -rf layout && cp -a $WORK/base layout",
    ),
    "buildah": Method(
        "uv, buildah",
        ("uv", "buildah"),
        f"""\
rm -rf deps
{INSTALL}c=$($BUILDAH from --pull-never $BASE)
$BUILDAH copy -q $c deps /
$BUILDAH config --workingdir /app --cmd "$COMMAND" --env PORT=8080 --port 8080 $c
$BUILDAH commit -q --rm --timestamp 315619200 $c bench-deps
c=$($BUILDAH from --pull-never bench-deps)
$BUILDAH copy -q $c app /app
$BUILDAH commit -q --rm --timestamp 315619200 $c bench-app
$BUILDAH push -q --tls-verify=false bench-app docker://$REPO:$TAG
""",
        """\
c=$($BUILDAH from --pull-never bench-deps)
$BUILDAH copy -q $c app /app
$BUILDAH commit -q --rm --timestamp 315619200 $c bench-app
$BUILDAH push -q --tls-verify=false bench-app docker://$REPO:$TAG
""",
        ready="$BUILDAH rmi -f bench-app bench-deps 2>/dev/null || true",
    ),
    "buildkit": _buildkit("gzip"),
    "buildkit-zstd": _buildkit("zstd"),
}

# Buildah's store has a mount of its own.
FORGET = """\
$BUILDAH rm -a || true
$BUILDAH rmi -af || true
! mountpoint -q $WORK/buildah/root/overlay || umount $WORK/buildah/root/overlay
"""

# What is asked -> tool -> how. IMAGE is an image of the suite's application.
READING = {
    "digest": {
        "ociassemble": "ociassemble digest $IMAGE",
        "crane": "crane digest $IMAGE",
        "skopeo": "skopeo inspect --tls-verify=false --no-tags --format '{{.Digest}}' docker://$IMAGE",
    },
    "manifest": {
        "ociassemble": "ociassemble manifest $IMAGE",
        "crane": "crane manifest $IMAGE",
        "skopeo": "skopeo inspect --tls-verify=false --raw docker://$IMAGE",
    },
    "config": {
        "ociassemble": "ociassemble config $IMAGE",
        "crane": "crane config $IMAGE",
        "skopeo": "skopeo inspect --tls-verify=false --config docker://$IMAGE",
    },
    "inspect": {
        "ociassemble": "ociassemble inspect $IMAGE",
        "skopeo": "skopeo inspect --tls-verify=false docker://$IMAGE",
    },
}
COPYING = {
    "registry to layout": {
        "ociassemble": "ociassemble --progress quiet --cache-dir $PWD/cache copy $IMAGE oci:$PWD/layout:v1",
        "crane": "crane pull --format oci $IMAGE layout",
        "skopeo": "skopeo --insecure-policy copy -q --src-tls-verify=false docker://$IMAGE oci:layout:v1",
    },
    "registry to another repository": {
        "ociassemble": "ociassemble --progress quiet --cache-dir $PWD/cache copy $IMAGE $COPY",
        "crane": "crane copy $IMAGE $COPY",
        "skopeo": "skopeo --insecure-policy copy -q --src-tls-verify=false --dest-tls-verify=false "
        "docker://$IMAGE docker://$COPY",
    },
}
