"""What the user stated wins over what a kind decided."""

from __future__ import annotations

from ociassemble.kinds.stated import with_settings
from ociassemble.oci.platform import Platform
from ociassemble.plan.facts import BaseFacts
from ociassemble.plan.plan import ConfigPlan
from ociassemble.project.settings import Settings


def test_settings_win_over_what_a_kind_decided() -> None:
    config = ConfigPlan(env={"PORT": "8080", "A": "1"}, workdir="/app", ports=("8080/tcp",))
    settings = Settings(env={"A": None, "B": "2"}, workdir="/srv", user="1000", ports=("9000/tcp",))
    result = with_settings(config, settings, BaseFacts(platform=Platform.parse("linux/amd64")))
    assert result.env == {"PORT": "8080", "A": None, "B": "2"}
    assert (result.workdir, result.user, result.ports) == ("/srv", "1000", ("8080/tcp", "9000/tcp"))
