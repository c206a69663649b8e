"""One of several classes for an image."""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from autopeft.budget import Budget
from autopeft.errors import InvalidInputError
from autopeft.tasks.encoded import Encoded
from autopeft.tasks.families.media_classification import MediaClassification
from autopeft.tasks.images import image, image_size

if TYPE_CHECKING:
    from autopeft.tasks.task import Split

_EXAMPLE = 32
"""Pixels on a side of a made-up image, where nothing says how many."""


class ImageClassification(MediaClassification):
    """Cross-entropy over classes of images."""

    name: ClassVar[str] = "image_classification"
    summary: ClassVar[str] = "one of several classes for an image"
    columns_in_words: ClassVar[str] = "an image (a path, or its content) and a label; or a folder with a folder a class"
    auto_model: ClassVar[str] = "AutoModelForImageClassification"
    processor: ClassVar[str] = "AutoImageProcessor"
    low_cost: ClassVar[Budget] = Budget(train_examples=1000, epochs=2, evaluation_examples=300, batch_size=16)
    length_unit: ClassVar[tuple[str, float]] = ("", 1.0)
    usual_inputs: ClassVar[Sequence[str]] = ("image", "img")
    what: ClassVar[str] = "an image"
    peft_task_type: ClassVar[str] = ""
    pipeline: ClassVar[str] = "image-classification"

    def decode(self, data: bytes) -> Any:
        """Return an image in RGB."""
        return image(data)

    def encode(self, processor: Any, split: "Split", max_length: int, *, training: bool = False) -> Encoded:
        """Return a row a file, not decoded yet.

        Raises:
            InvalidInputError: The images would differ in size in a batch.
        """
        encoded = super().encode(processor, split, max_length, training=training)
        sizes = {self.row_in_words(encoded, row) for row in _extreme(split)}
        if len(sizes) > 1:
            raise InvalidInputError(
                "images must be of one size behind the model's preprocessor",
                value=" and ".join(sorted(sizes)),
                remedy="Let it bring them to one: do_resize and a size with height and width in preprocessor_config.json. Or cut them.",
            )
        return encoded

    def prepare(self, processor: Any, decoded: Sequence[Any]) -> Any:
        """Return pixel values, images x channels x height x width; models of one channel get the mean of the three."""
        pixels = processor(images=list(decoded), return_tensors="pt")
        return {"pixel_values": pixels["pixel_values"]}

    def by_size(self, encoded: Encoded) -> Sequence[int]:
        """Return one row: behind the preprocessor all are of one size."""
        return range(min(1, len(encoded)))

    def row_in_words(self, encoded: Encoded, row: int) -> str:
        """Return how large it is."""
        _, _, height, width = encoded.batch([row]).inputs["pixel_values"].shape
        return f"{width} x {height} pixels"

    def inputs_in_words(self, inputs: Mapping[str, Any]) -> str:
        """Say how large the images are."""
        _, channels, height, width = inputs["pixel_values"].shape
        return f"images of {width} x {height} pixels in {channels} channels, which its preprocessor makes"

    def fitting(self, config: Any) -> str:
        """Say which numbers must fit to each other."""
        known = {name: getattr(config, name, None) for name in ("image_size", "patch_size", "window_size", "num_channels")}
        says = ", ".join(f"{name} {value}" for name, value in known.items() if value is not None)
        return f"Set a size in preprocessor_config.json that fits what config.json says ({says}), or take another model."

    def example_for(self, config: Any) -> "Split":
        """Return images of the size that the model was made for: not every preprocessor resizes them."""
        size = getattr(config, "image_size", None)
        height, width = size if isinstance(size, list | tuple) else (size or _EXAMPLE, size or _EXAMPLE)
        return _noise(int(height), int(width))

    @property
    def example(self) -> "Split":
        """Two images of noise."""
        return _noise(_EXAMPLE, _EXAMPLE)

    def usage(self, max_length: int) -> str:
        """Return the class of an image file."""
        return (
            'from PIL import Image\n\ninputs = tokenizer(images=Image.open("image.png").convert("RGB"), return_tensors="pt")\n'
            f"with torch.no_grad():\n    logits = model(**inputs).logits\nprint({self.answer_code})"
        )


def _noise(height: int, width: int) -> "Split":
    from PIL import Image

    from autopeft.tasks.task import Split

    files = []
    for seed in range(2):
        file = io.BytesIO()
        pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(file, "PNG")
        files.append(file.getvalue())
    return Split((files,), np.array([0, 1]))


def _extreme(split: "Split") -> list[int]:
    """Return the images that are the widest, the highest, the narrowest and the lowest, and those of the most different proportions."""
    sizes = np.array([image_size(data) for data in split.inputs[0]])
    columns = [*sizes.T, sizes[:, 0] / sizes[:, 1]]
    return sorted({int(place) for column in columns for place in (column.argmin(), column.argmax())})
