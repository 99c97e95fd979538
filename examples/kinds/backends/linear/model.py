"""A backend of one's own, without C++: it serves models that are a `linear.json`,

    {"weights": [[…], …], "bias": […]}

for y = x · weights + bias. What such a model's config leaves out is found in that file.
"""

import json
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils


def parameters():
    document = json.loads(Path(pb_utils.get_model_dir(), "linear.json").read_text())
    return (np.array(document[key], np.float32) for key in ("weights", "bias"))


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        weights, bias = parameters()
        config.add_input({"name": "x", "data_type": "TYPE_FP32", "dims": [weights.shape[0]]})
        config.add_output({"name": "y", "data_type": "TYPE_FP32", "dims": [bias.shape[0]]})
        config.set_max_batch_size(16)
        config.set_dynamic_batching()
        return config

    def initialize(self, args):
        self.weights, self.bias = parameters()

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        x = pb_utils.get_input_tensor_by_name(request, "x").as_numpy()
        return pb_utils.InferenceResponse([pb_utils.Tensor("y", x @ self.weights + self.bias)])
