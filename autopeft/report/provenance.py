"""Where a run came from: its settings, what it ran on, and what makes it again."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from autopeft.report.formatting import one_line


@dataclass(frozen=True)
class Setting:
    """One setting of a search."""

    name: str
    value: Any
    source: str
    """Where it came from: flag, file, environment or default."""

    @property
    def in_words(self) -> str:
        """The value in one line; "-" of one that is not set."""
        if self.value is None or self.value == []:
            return "-"
        if isinstance(self.value, list):
            return one_line(", ".join(map(str, self.value)))
        return one_line(str(self.value))


@dataclass(frozen=True)
class Provenance:
    """What run.json says of how a run was made. What it doesn't say is empty."""

    created: str
    command: str
    """What to type to run the same search again."""
    settings: tuple[Setting, ...]
    """All of them, those that were given first."""
    constraints: Mapping[str, float]
    """Upper bounds of costs by name."""
    data_notes: tuple[str, ...]
    """Where each part of the data came from."""
    left_out: tuple[str, ...]
    """What of the search space the backbone can't take, and why."""
    facts: Mapping[str, str | int | float]
    """What is known of the backbone, the space and the machine."""
    versions: Mapping[str, str]

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Read it from the content of run.json."""
        found = [
            Setting(name, entry.get("value"), str(entry.get("source", ""))) for name, entry in (settings.get("settings") or {}).items()
        ]
        found.sort(key=lambda setting: setting.source == "default")
        names = (
            "n_layers",
            "hidden_size",
            "space_points",
            "backbone_parameters",
            "head_parameters",
            "precision",
            "dtype",
            "attention",
            "device",
        )
        facts = {name: settings[name] for name in names if settings.get(name) is not None}
        return cls(
            created=str(settings.get("created", "")),
            command=str(settings.get("command") or "") or _python_call(found),
            settings=tuple(found),
            constraints={entry["name"]: entry["upper"] for entry in settings.get("constraints") or ()},
            data_notes=tuple(settings.get("data_notes") or ()),
            left_out=tuple(settings.get("left_out") or ()),
            facts=facts | dict(settings.get("hardware") or {}),
            versions=dict(settings.get("versions") or {}),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


def _python_call(settings: list[Setting]) -> str:
    """Return the call from Python that gives the same settings: a run without a command line was started by one."""
    given = ", ".join(f"{setting.name}={setting.value!r}" for setting in settings if setting.source != "default")
    return f"autopeft.search({given})" if given else ""
