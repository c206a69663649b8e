from pathlib import Path

import yaml
from rebuild import show
from stand_in import stand_in_for
from transformers import AutoConfig, AutoModelForCausalLM

stand_in_for("trl", "torchaudio")

from llamafactory.data.parser import get_dataset_list  # noqa: E402
from llamafactory.hparams.parser import get_train_args  # noqa: E402
from llamafactory.model.adapter import init_adapter  # noqa: E402

model_args, data, training, tuning, _ = get_train_args(yaml.safe_load(Path("train.yaml").read_text()) | {"use_cpu": True})
model = AutoModelForCausalLM.from_pretrained(model_args.model_name_or_path)
wrapped = init_adapter(AutoConfig.from_pretrained(model_args.model_name_or_path), model, model_args, tuning, is_trainable=True)
files = [entry.dataset_name for name in (data.dataset, data.eval_dataset) for entry in get_dataset_list(name, data.dataset_dir)]
show(
    wrapped,
    None,
    dropout=tuning.lora_dropout,
    dora=tuning.use_dora,
    rslora=tuning.use_rslora,
    learning_rate=training.learning_rate,
    warmup_steps=training.warmup_steps,
    epochs=training.num_train_epochs,
    datasets=files,
)
