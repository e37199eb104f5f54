"""What `bench/peers.py` has each tool do: two applications, the ways to build them, what is read, what is copied.

Scripts are bash, run with `-euo pipefail`. They are told: BASE, the base image; REPO and TAG, where the result goes;
SITE, where Python of the base looks for packages; PLATFORM and MACHINE; COMMAND, how the application starts; JOB; WORK,
the folder of the whole run; IMAGE and COPY, what is read and where it is copied to; BUILDAH, with a store of its own.
"""

from __future__ import annotations

from typing import NamedTuple

import measure

SITE = "/usr/lib/python3/dist-packages"  # where Python of the base looks for packages


class Job(NamedTuple):
    """An application: what it needs, its one file, and the command that `ociassemble build` finds by itself."""

    title: str
    needs: tuple[str, ...]
    file: str
    source: str
    command: str


JOBS = {
    "web": Job(
        "a: Flask, gunicorn",
        ("flask", "gunicorn"),
        "app.py",
        (measure.REPOSITORY / "examples" / "python-flask" / "app.py").read_text(),
        "-m gunicorn --worker-tmp-dir /dev/shm --no-control-socket app:app",
    ),
    "data": Job(
        "b: numpy, pandas, scipy, pillow",
        ("numpy", "pandas", "scipy", "pillow"),
        "main.py",
        'import numpy, pandas, PIL, scipy\n\nprint("ok", numpy.__version__)\n',
        "main.py",
    ),
}

# Peers get what makes a result reproducible where they have it, and their packages from uv, warm and offline.
INSTALL = """\
uv pip install -q --offline --no-deps --require-hashes --only-binary :all: --python-version 3.13 \\
    --python-platform $MACHINE-manylinux_2_40 --target deps$SITE -r app/requirements.txt
rm deps$SITE/.lock
"""
LOCK = f"""\
uv pip compile -q --generate-hashes --no-annotate --no-header --only-binary :all: --python-version 3.13 \\
    --python-platform $MACHINE-manylinux_2_40 requirements.in -o app/requirements.txt
{INSTALL.replace("--offline ", "")}rm -r deps
ociassemble -q lock app --base $BASE --platform $PLATFORM --lockfile ociassemble.lock
"""
TAR = "tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@315619200"
CRANE_FIRST = f"""\
{INSTALL}{TAR} -C deps -cf deps.tar usr
{TAR} -cf app.tar app
crane append --base $BASE --new_layer deps.tar --new_layer app.tar --new_tag $REPO:$TAG
crane mutate $REPO:$TAG --workdir /app --cmd="${{COMMAND// /,}}" --env PORT=8080 --exposed-ports 8080 --tag $REPO:$TAG
"""
OURS = """\
ociassemble --progress quiet build app --base $BASE --platform $PLATFORM --lockfile ociassemble.lock --locked \\
    {}--tag $REPO:$TAG --push
"""


class Method(NamedTuple):
    """A way to do it: `first` makes every layer, `again` is for a changed source file; both are shell scripts.

    They start in a folder that holds `app/`, and are told BASE, REPO and TAG. `ready` is not timed.
    """

    title: str
    programs: tuple[str, ...]
    first: str
    again: str
    ready: str = ""
    only_again: bool = False


METHODS = {
    "ociassemble": Method("ociassemble", ("ociassemble",), OURS.format("--no-cache "), OURS.format("")),
    "crane": Method("uv, tar, crane: the same script again", ("uv", "crane"), CRANE_FIRST, CRANE_FIRST),
    "crane-kept": Method(
        "uv, tar, crane: dependencies kept as an image",
        ("uv", "crane"),
        f"""\
{INSTALL}{TAR} -C deps -cf deps.tar usr
crane append --base $BASE --new_layer deps.tar --new_tag $REPO:deps
crane mutate $REPO:deps --workdir /app --cmd="${{COMMAND// /,}}" --env PORT=8080 --exposed-ports 8080 --tag $REPO:deps
{TAR} -cf app.tar app
crane append --base $REPO:deps --new_layer app.tar --new_tag $REPO:$TAG
""",
        f"""\
{TAR} -cf app.tar app
crane append --base $REPO:deps --new_layer app.tar --new_tag $REPO:$TAG
""",
        only_again=True,
    ),
    "umoci": Method(
        "uv, umoci, skopeo: dependencies kept in the layout",
        ("uv", "umoci", "skopeo"),
        f"""\
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
        ready="[ -e layout ] || cp -a $WORK/base layout",
    ),
    "buildah": Method(
        "uv, buildah: dependencies kept in its store",
        ("uv", "buildah"),
        f"""\
{INSTALL}c=$($BUILDAH from --pull-never $BASE)
$BUILDAH copy -q $c deps /
$BUILDAH config --workingdir /app --cmd "$COMMAND" --env PORT=8080 --port 8080 $c
$BUILDAH commit -q --rm --timestamp 315619200 $c $JOB-deps
c=$($BUILDAH from --pull-never $JOB-deps)
$BUILDAH copy -q $c app /app
$BUILDAH commit -q --rm --timestamp 315619200 $c $JOB-app
$BUILDAH push -q --tls-verify=false $JOB-app docker://$REPO:$TAG
""",
        """\
c=$($BUILDAH from --pull-never $JOB-deps)
$BUILDAH copy -q $c app /app
$BUILDAH commit -q --rm --timestamp 315619200 $c $JOB-app
$BUILDAH push -q --tls-verify=false $JOB-app docker://$REPO:$TAG
""",
        ready="if [ $STEP = first ]; then $BUILDAH rmi -f $JOB-app $JOB-deps || true; fi",
    ),
}

# What is asked -> tool -> how. IMAGE is job b's image.
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

# Buildah's store has a mount of its own.
FORGET = """\
$BUILDAH rm -a || true
$BUILDAH rmi -af || true
! mountpoint -q $WORK/buildah/root/overlay || umount $WORK/buildah/root/overlay
"""
