"""The word, as often as `count` says; then an error, if one is wanted. Below 0 it forgets to say
that no more follow."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            self.answer(request, request.get_response_sender())

    def answer(self, request, sender):
        count = pb_utils.get_input_tensor_by_name(request, "count").as_numpy()[0]
        word = pb_utils.get_input_tensor_by_name(request, "word").as_numpy()
        error = pb_utils.get_input_tensor_by_name(request, "error")
        for index in range(abs(count)):
            tensors = [
                pb_utils.Tensor("index", np.array([index], np.int32)),
                pb_utils.Tensor("word", word),
            ]
            sender.send(pb_utils.InferenceResponse(tensors))
        if error is not None and error.as_numpy()[0]:
            failure = pb_utils.TritonError(f"no more than {count}")
            sender.send(pb_utils.InferenceResponse([], error=failure))
        if count >= 0:
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
