"""A small web application that tells where it runs: `/` greets, `/health` says what the image gives it."""

import os
import platform
import sys
import tempfile
from pathlib import Path

from flask import Flask, jsonify

app = Flask(__name__)


def writable(folder: Path) -> bool:
    """Whether a file can be made in `folder`; on a read-only root it cannot, whatever the permissions say."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


@app.get("/")
def index() -> str:
    return "Hello from Flask in an image that no container daemon has built.\n"


@app.get("/health")
def health():
    standard_library = Path(os.__file__).parent
    return jsonify(
        status="ok",
        uid=os.getuid(),
        python=platform.python_version(),
        executable=sys.executable,
        standard_library=str(standard_library),
        standard_library_writable=writable(standard_library),
        application_writable=writable(Path(__file__).resolve().parent),
    )
