/* Uses ONNX Runtime's C API, which opens its providers by name where a session wants one. */

#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef struct {
  void* (*const* (*GetApi)(uint32_t version))();
  const char* (*GetVersionString)(void);
} OrtApiBase;
enum { GET_ERROR_MESSAGE = 2, CREATE_ENV = 3, CREATE_SESSION_OPTIONS = 10 }; /* places in OrtApi */
enum { FATAL = 4 };
const OrtApiBase* OrtGetApiBase(void);
void* OrtSessionOptionsAppendExecutionProvider_OpenVINO(void* options, const char* device);

const char* start(char said[256])
{
  void *environment, *options, *status;
  const OrtApiBase* base = OrtGetApiBase();
  void* (*const* api)() = base->GetApi(1);
  if (api[CREATE_ENV](FATAL, "tests", &environment) || api[CREATE_SESSION_OPTIONS](&options))
    return "ONNX Runtime does not start";
  if ((status = OrtSessionOptionsAppendExecutionProvider_OpenVINO(options, "CPU"))) {
    const char* why = (const char*)api[GET_ERROR_MESSAGE](status);
    /* A provider that is not there is not wanted; one that cannot be loaded is broken. */
    if (!strstr(why, "openvino.so: cannot open shared object file")) return why;
  }
  snprintf(
      said, 256, "ONNX Runtime %s, %s OpenVINO", base->GetVersionString(),
      status ? "without" : "with");
  return 0;
}
