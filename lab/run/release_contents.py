"""The releases of a run by what they are, and not only by their tags."""

from __future__ import annotations

from lab.model import Value
from lab.record import ReadRecord
from lab.scenario.spec import Scenario, releases_of, rolls_of


class ReleaseContents(Value):
    """The release that the last upgrade goes to, by what it is and not only by its tag."""

    new: str | None = None
    """As replicas call themselves; None where nothing is rolled out, or only another tag of the same image is."""
    same: str = ""
    """Which tags are of one image."""

    @classmethod
    def of(cls, seen: ReadRecord, scenario: Scenario) -> ReleaseContents:
        rolled = rolls_of(scenario.steps)
        if not rolled:
            return cls()
        new, every = rolled[-1].name, set(releases_of(scenario))
        if any(one.env for one in rolled):
            return cls(new=new)  # whatever their images are, they are not the same
        contents = _contents(seen)
        known = {contents.get(name) for name in every}
        if len(every) > 1 and len(known) == 1 and None not in known:
            return cls(same=", ".join(sorted(every)))
        return cls(new=new)


def _contents(seen: ReadRecord) -> dict[str, str]:
    """The content id of each release's image, by its name, as far as the record says."""
    document = seen.document("environment.json")
    if not isinstance(document, dict):
        return {}
    images, releases = document.get("images"), document.get("releases")
    if not isinstance(images, dict) or not isinstance(releases, dict):
        return {}
    return {str(name): str(images[image]) for name, image in releases.items() if image in images}
