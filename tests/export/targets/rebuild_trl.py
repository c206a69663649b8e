import sys

from rebuild import show
from trl import get_peft_config
from trl.scripts.sft import make_parser

arguments = ["--config", "sft.yaml", "--use_cpu"]
script, training, model, _ = make_parser().parse_args_and_config(arguments, fail_with_unknown_args=True)
config = get_peft_config(model)
show(
    config,
    model.model_name_or_path,
    dropout=config.lora_dropout,
    dora=config.use_dora,
    rslora=config.use_rslora,
    learning_rate=training.learning_rate,
    warmup_steps=training.get_warmup_steps(1000),
    epochs=training.num_train_epochs,
    splits=[script.dataset_train_split, script.dataset_test_split],
)
if "--train" in sys.argv:
    from trl.scripts.sft import main

    training.max_steps, training.logging_steps = 2, 1
    main(script, training, model, make_parser().parse_args_and_config(arguments)[3])
