"""x, and what is more, if it is given; and the parameters of the request."""

import json

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        x = pb_utils.get_input_tensor_by_name(request, "x").as_numpy()
        more = pb_utils.get_input_tensor_by_name(request, "more")
        y = x if more is None else np.concatenate([x, more.as_numpy()])
        parameters = json.dumps(json.loads(request.parameters() or "{}"), sort_keys=True)
        told = np.array([parameters.encode()], object)
        tensors = [pb_utils.Tensor("y", y), pb_utils.Tensor("parameters", told)]
        return pb_utils.InferenceResponse(tensors)
