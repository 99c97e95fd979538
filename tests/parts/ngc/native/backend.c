/* A backend for tests: an output is the input at its place. `start` is what a backend of that name
   does before its first model: it uses the libraries that it brings. */

#include "triton/core/tritonbackend.h"

#include <string.h>

/* NULL, or why it cannot; `said` is for the log. */
const char* start(char said[256]);

TRITONSERVER_Error* TRITONBACKEND_ModelInitialize(TRITONBACKEND_Model* model)
{
  char said[256] = "identity";
  const char* wrong = start(said);
  (void)model;
  if (wrong) return TRITONSERVER_ErrorNew(TRITONSERVER_ERROR_INTERNAL, wrong);
  return TRITONSERVER_LogMessage(TRITONSERVER_LOG_INFO, __FILE__, __LINE__, said);
}

static TRITONSERVER_Error* copy(
    TRITONBACKEND_Request* request, TRITONBACKEND_Response* response, uint32_t index)
{
  TRITONSERVER_Error* error;
  TRITONBACKEND_Input* input;
  TRITONBACKEND_Output* output;
  const char *ignored, *name;
  const int64_t* shape;
  const void* from;
  void* to;
  int datatype, kind;
  int64_t device;
  uint32_t dims, buffers;
  uint64_t size, part;
  if ((error = TRITONBACKEND_RequestInputByIndex(request, index, &input))) return error;
  if ((error = TRITONBACKEND_RequestOutputName(request, index, &name))) return error;
  if ((error = TRITONBACKEND_InputProperties(
           input, &ignored, &datatype, &shape, &dims, &size, &buffers))) return error;
  if ((error = TRITONBACKEND_ResponseOutput(response, &output, name, datatype, shape, dims)))
    return error;
  kind = 0, device = 0;
  if ((error = TRITONBACKEND_OutputBuffer(output, &to, size, &kind, &device))) return error;
  for (uint32_t i = 0; i < buffers; i++) {
    kind = 0, device = 0;
    if ((error = TRITONBACKEND_InputBuffer(input, i, &from, &part, &kind, &device))) return error;
    memcpy(to, from, part);
    to = (char*)to + part;
  }
  return NULL;
}

TRITONSERVER_Error* TRITONBACKEND_ModelInstanceExecute(
    TRITONBACKEND_ModelInstance* instance, TRITONBACKEND_Request** requests, uint32_t count)
{
  (void)instance;
  for (uint32_t i = 0; i < count; i++) {
    TRITONBACKEND_Response* response;
    TRITONSERVER_Error* error = NULL;
    uint32_t outputs = 0;
    if (TRITONBACKEND_ResponseNew(&response, requests[i]) == NULL) {
      TRITONBACKEND_RequestOutputCount(requests[i], &outputs);
      for (uint32_t k = 0; k < outputs && !error; k++) error = copy(requests[i], response, k);
      TRITONBACKEND_ResponseSend(response, TRITONSERVER_RESPONSE_COMPLETE_FINAL, error);
    }
    TRITONBACKEND_RequestRelease(requests[i], TRITONSERVER_REQUEST_RELEASE_ALL);
  }
  return NULL;
}
