"""All sums of a sequence so far, a response each."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.sums = {}

    def execute(self, requests):
        for request in requests:
            self.answer(request, request.get_response_sender())

    def answer(self, request, sender):
        value, start, id = (
            pb_utils.get_input_tensor_by_name(request, name).as_numpy().ravel()[0]
            for name in ("value", "START", "ID")
        )
        before = [] if start else self.sums[id]
        self.sums[id] = [*before, int(value) + (before[-1] if before else 0)]
        for sum in self.sums[id]:
            tensor = pb_utils.Tensor("sum", np.array([sum], np.int64))
            sender.send(pb_utils.InferenceResponse([tensor]))
        sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
