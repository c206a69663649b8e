"""One of several classes for an image."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from autopeft.budget import Budget
from autopeft.tasks.families.media_classification import MediaClassification
from autopeft.tasks.media import image

if TYPE_CHECKING:
    from autopeft.tasks.task import Split


class ImageClassification(MediaClassification):
    """Cross-entropy over classes of images."""

    name: ClassVar[str] = "image_classification"
    summary: ClassVar[str] = "one of several classes for an image"
    columns_in_words: ClassVar[str] = "an image (a path, or its content) and a label; or a folder with a folder a class"
    auto_model: ClassVar[str] = "AutoModelForImageClassification"
    processor: ClassVar[str] = "AutoImageProcessor"
    low_cost: ClassVar[Budget] = Budget(train_examples=1000, epochs=2, evaluation_examples=300, batch_size=16)
    usual_inputs: ClassVar[Sequence[str]] = ("image", "img")
    what: ClassVar[str] = "an image"
    peft_task_type: ClassVar[str] = ""
    pipeline: ClassVar[str] = "image-classification"

    def decode(self, data: bytes) -> Any:
        """Return an image in RGB."""
        return image(data)

    def prepare(self, processor: Any, decoded: Sequence[Any]) -> Any:
        """Return pixel values, images x channels x height x width; models of one channel get the mean of the three."""
        pixels = processor(images=list(decoded), return_tensors="pt")
        return {"pixel_values": pixels["pixel_values"]}

    @property
    def example(self) -> "Split":
        """Two images of noise."""
        from PIL import Image

        from autopeft.tasks.task import Split

        files = []
        for seed in range(2):
            file = io.BytesIO()
            pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(file, "PNG")
            files.append(file.getvalue())
        return Split((files,), np.array([0, 1]))

    def usage(self, max_length: int) -> str:
        """Return the class of an image file."""
        return (
            'from PIL import Image\n\ninputs = tokenizer(images=Image.open("image.png").convert("RGB"), return_tensors="pt")\n'
            f"with torch.no_grad():\n    logits = model(**inputs).logits\nprint({self.answer_code})"
        )
