import json
import subprocess
import sys
from pathlib import Path

import adapters
import torch
from transformers import AutoModelForSequenceClassification

model = AutoModelForSequenceClassification.from_pretrained(sys.argv[1], num_labels=2)
adapters.init(model)
loading = {}
name = model.load_adapter(".", use_safetensors=True, loading_info=loading)
model.set_active_adapters(name)
model.eval()
batch = {key: torch.tensor(value) for key, value in json.loads(sys.argv[2]).items()}
with torch.no_grad():
    logits = model(**batch).logits.flatten().tolist()
loras = {
    module_name: (lora.r, lora.lora_alpha, lora.scaling)
    for module_name, module in model.named_modules()
    for lora in (getattr(module, "loras", None) or {}).values()
}
snippet = Path("README.md").read_text().split("```python\n")[1].split("```")[0]
done = subprocess.run([sys.executable, "-c", snippet], stdout=subprocess.PIPE, text=True, check=True)
# The library names a layer's view of the prefixes anew, which are kept in one place.
missing = [key for key in loading["missing_keys"] if ".pool." not in key]
print("RESULT", json.dumps({"loras": loras, "logits": logits, "missing": missing, "snippet": done.stdout.strip().splitlines()[-1]}))
