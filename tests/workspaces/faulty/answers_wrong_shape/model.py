import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        twice = pb_utils.Tensor("y", np.zeros(6, np.float32))
        return [pb_utils.InferenceResponse([twice]) for _ in requests]
