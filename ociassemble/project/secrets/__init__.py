"""The guard: what looks like a secret is refused before a byte is packed (specs/behaviour/secrets.md).

`names` judges paths, `search` content (what to look for is data, in `rules`), `archives` looks inside zip and tar;
`findings` says what was found and how it is allowed. What is excluded from the image is not looked at.
"""

from ociassemble.project.secrets.findings import Finding, SecretError, refuse
from ociassemble.project.secrets.guard import NOTHING, Guard, Verdict, judge, outside
from ociassemble.project.secrets.names import by_name

__all__ = ["NOTHING", "Finding", "Guard", "SecretError", "Verdict", "by_name", "judge", "outside", "refuse"]
