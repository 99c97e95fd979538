"""The sum of a sequence so far. The state is kept here: the python backend does not carry
Triton's implicit state."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.sums = {}

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        value, start, sequence = (
            pb_utils.get_input_tensor_by_name(request, name).as_numpy().ravel()[0]
            for name in ("value", "START", "CORRID")
        )
        self.sums[sequence] = int(value) + (0 if start else self.sums.get(sequence, 0))
        total = np.array([[self.sums[sequence]]], np.int64)
        return pb_utils.InferenceResponse([pb_utils.Tensor("sum", total)])
