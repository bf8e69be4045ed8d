"""Run by another Python, with torch: hidden states of folders that `save_pretrained` wrote.

    python peer_vectors.py FOLDER...

Reads each FOLDER and inputs from FOLDER/in.npz; writes FOLDER/out.npz.
"""

import sys

import numpy as np
import torch
import transformers

transformers.logging.set_verbosity_error()
for folder in sys.argv[1:]:
    family = transformers.AutoConfig.from_pretrained(folder).model_type
    auto = transformers.AutoModelForTextEncoding if family == "t5" else transformers.AutoModel
    model, report = auto.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values()), (family, report)
    given, found = np.load(f"{folder}/in.npz"), {}
    for batch in {key.split("/")[0] for key in given}:
        fields = {
            key.split("/")[1]: torch.tensor(given[key])
            for key in given
            if key.startswith(f"{batch}/")
        }
        with torch.no_grad():
            output = model.eval()(**fields)
        found[f"{batch}/hidden"] = output.last_hidden_state.numpy()
        if getattr(output, "pooler_output", None) is not None:
            found[f"{batch}/pooled"] = output.pooler_output.numpy()
    np.savez(f"{folder}/out.npz", **found)
