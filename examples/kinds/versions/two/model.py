import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        who = pb_utils.get_input_tensor_by_name(request, "who").as_numpy()[0]
        text = np.array([b"Good day, " + who], object)
        return pb_utils.InferenceResponse([pb_utils.Tensor("text", text)])
