"""Names the likeliest digit."""

import numpy as np
import triton_python_backend_utils as pb_utils

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        scores = pb_utils.get_input_tensor_by_name(request, "probabilities").as_numpy()
        best = scores.argmax(axis=1)
        words = np.array([[WORDS[digit].encode()] for digit in best], object)
        certainty = scores.max(axis=1, keepdims=True).astype(np.float32)
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor("name", words), pb_utils.Tensor("certainty", certainty)]
        )
