"""The handle on the PEFT modules that stand on a model."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from autopeft.configuration import Configuration
from autopeft.errors import InvalidInputError, UnsupportedError
from autopeft.methods.adapter_files import pack
from autopeft.methods.counting import resolve
from autopeft.methods.hook import TrainingHook
from autopeft.methods.topology import Topology


class AppliedModules:
    """The PEFT modules on a model, from `apply`.

    While it is in place, exactly its parameters and the task head's require gradient.
    """

    def __init__(
        self,
        model: nn.Module,
        configuration: Configuration,
        topology: Topology,
        module_parameters: Mapping[str, nn.Parameter],
        head_parameters: Mapping[str, nn.Parameter],
        undo: Callable[[], None],
        *,
        hooks: tuple[TrainingHook, ...] = (),
    ) -> None:
        self.model = model
        self.configuration = configuration
        self.topology = topology
        self.module_parameters = dict(module_parameters)
        """The modules' parameters by their names in the model."""
        self.head_parameters = dict(head_parameters)
        """The task head's parameters by their names in the model: clones that stand in for the model's own until `eject`."""
        self.hooks = hooks
        """What modules do while they are trained; a training loop must call them (`autopeft.training.hooks`)."""
        self._undo: Callable[[], None] | None = undo
        self._in_place = True

    @property
    def parameter_count(self) -> int:
        """Number of parameters of the modules; the head is not counted."""
        return sum(parameter.numel() for parameter in self.module_parameters.values())

    @property
    def head_parameter_count(self) -> int:
        """Number of parameters of the task head."""
        return sum(parameter.numel() for parameter in self.head_parameters.values())

    def trainable_parameters(self) -> dict[str, nn.Parameter]:
        """Return everything that is trained, by name: the modules' parameters, then the head's.

        Raises:
            InvalidInputError: The modules are no longer on the model.
        """
        self._require_in_place()
        return {**self.module_parameters, **self.head_parameters}

    def save(self, folder: Path | str, metadata: Mapping[str, Any] | None = None) -> None:
        """Write the adapter's files into a folder, which is made if needed.

        Args:
            folder: Where to write.
            metadata: Anything that JSON can hold, for the reader's own use.

        Raises:
            InvalidInputError: The modules are no longer on the model.
        """
        folder = Path(folder)
        files = pack(self, metadata)
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)

    def eject(self) -> None:
        """Leave the model bit for bit as it was before `apply`: parameters, buffers, hooks, modules, configs, flags and mode.

        The head gets its old values back. Calling it again does nothing.
        """
        undo, self._undo = self._undo, None
        self._in_place = False
        self.module_parameters.clear()
        self.head_parameters.clear()
        self.hooks = ()
        if undo is not None:
            undo()

    def merge(self) -> None:
        """Fold the modules into the model's weights, so that it is a plain model of its class that computes the same.

        The trained head stays. `eject` still brings back the model as it was before `apply`.

        Raises:
            UnsupportedError: A module cannot be folded, or the model's weights are quantised.
            InvalidInputError: The modules are no longer on the model.
        """
        self._require_in_place()
        if self.topology.quantisation:
            raise UnsupportedError(
                "nothing is merged into quantised weights, which would round it off",
                value=self.topology.quantisation,
                remedy="Save the adapter, load it with any_quantisation=True onto the model without quantisation, and merge there; "
                "autopeft export --to merged does so.",
            )
        resolved = resolve(self.configuration, self.topology)
        if lasting := [Configuration((module,)).describe() for method, module in resolved if not method.merges_with(module)]:
            raise UnsupportedError("a configuration merges only if each of its modules does", value=lasting)
        from autopeft.methods.changed_weight import fold_changes
        from autopeft.methods.weight import fold  # peft takes a second to import, and most configurations can do without

        fold_changes(self.model)
        fold(self.model)
        del self.model.autopeft_applied
        self.hooks = ()
        self._in_place = False

    def _require_in_place(self) -> None:
        if not self._in_place:
            raise InvalidInputError("the modules were ejected or merged", remedy="Apply the configuration again.")
