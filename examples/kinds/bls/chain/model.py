"""Asks the model `power` as often as the request says."""

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        x = pb_utils.get_input_tensor_by_name(request, "x").as_numpy()
        times = pb_utils.get_input_tensor_by_name(request, "times").as_numpy()
        for _ in range(int(times[0])):
            call = pb_utils.InferenceRequest(
                model_name="power",
                inputs=[pb_utils.Tensor("x", x)],
                requested_output_names=["y"],
            )
            response = call.exec()
            if response.has_error():
                raise pb_utils.TritonModelException(response.error().message())
            x = pb_utils.get_output_tensor_by_name(response, "y").as_numpy()
        return pb_utils.InferenceResponse([pb_utils.Tensor("y", x)])
