"""Turns grey images (0 to 255, white on black) into the pixels that `digits` was trained on."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        images = pb_utils.get_input_tensor_by_name(request, "image").as_numpy()
        pixels = images.reshape(len(images), -1) * np.float32(16 / 255)
        return pb_utils.InferenceResponse([pb_utils.Tensor("pixels", pixels)])
