"""The sum of a sequence so far. The state is kept here by correlation id: the python backend does
not carry Triton's implicit state."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.sums = {}

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        value, start, end, id = (
            pb_utils.get_input_tensor_by_name(request, name).as_numpy().ravel()[0]
            for name in ("value", "START", "END", "ID")
        )
        if value < 0:
            error = pb_utils.TritonError(f"{value} is not summed up")
            return pb_utils.InferenceResponse([], error=error)
        self.sums[id] = int(value) + (0 if start else self.sums[id])
        tensors = [
            pb_utils.Tensor("sum", np.array([[self.sums[id]]], np.int64)),
            pb_utils.Tensor("ended", np.array([[bool(end)]])),
        ]
        return pb_utils.InferenceResponse(tensors)
