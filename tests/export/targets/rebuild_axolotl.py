from pathlib import Path

import yaml
from rebuild import show
from stand_in import stand_in_for
from transformers import AutoModelForCausalLM

ABSENT = "axolotl_contribs bitsandbytes colorama dotenv einops evaluate fire mistral_common optimum posthog s3fs schedulefree xformers"
stand_in_for(*ABSENT.split())

from axolotl.loaders.adapter import _build_peft_lora_config  # noqa: E402
from axolotl.utils.dict import DictDefault  # noqa: E402
from axolotl.utils.schemas.config import AxolotlInputConfig  # noqa: E402

written = yaml.safe_load(Path("axolotl.yaml").read_text())
read = AxolotlInputConfig(**written).model_dump(exclude_none=True)
config = _build_peft_lora_config(AutoModelForCausalLM.from_pretrained(read["base_model"]), DictDefault(read))
show(
    config,
    read["base_model"],
    # Axolotl drops keys that it doesn't know, without a word.
    changed=sorted(name for name, value in written.items() if name not in ("datasets", "test_datasets") and read.get(name) != value),
    datasets=[read["datasets"][0]["path"], read["test_datasets"][0]["path"]],
    dropout=config.lora_dropout,
    dora=config.use_dora,
    rslora=config.use_rslora,
    learning_rate=read["learning_rate"],
    epochs=read["num_epochs"],
)
