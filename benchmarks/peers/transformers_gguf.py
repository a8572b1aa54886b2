"""A GGUF file read and answered with by transformers, greedily: one JSON argument in, one JSON line out.

The argument has "file", "prompts" (lists of messages) and "max_tokens".
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main(job: dict[str, Any]) -> dict[str, Any]:
    file = Path(job["file"])
    tokeniser = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32).eval()
    found = []
    for messages in job["prompts"]:
        text = tokeniser.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        inputs = tokeniser(text, return_tensors="pt", add_special_tokens=False)
        tokens = inputs["input_ids"][0].tolist()
        with torch.no_grad():
            logits = model(**inputs).logits[0, -1].tolist()
            written = model.generate(**inputs, max_new_tokens=job["max_tokens"], do_sample=False, eos_token_id=2)
        answer = tokeniser.decode(written[0, len(tokens) :], skip_special_tokens=True)
        found.append({"tokens": tokens, "logits": logits, "answer": answer})
    names = ("torch", "transformers", "gguf")
    return {"found": found, "versions": {name: version(name) for name in names}}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
