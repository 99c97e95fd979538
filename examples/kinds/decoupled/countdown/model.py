"""Counts down to 1, a response for each number; none for 0."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            first = pb_utils.get_input_tensor_by_name(request, "from").as_numpy()[0]
            for count in range(first, 0, -1):
                tensor = pb_utils.Tensor("count", np.array([count], np.int32))
                sender.send(pb_utils.InferenceResponse([tensor]))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
