/* Uses OpenVINO's C API: asked for the CPU's version, it opens the plug-in for CPUs. */

#include <stddef.h>
#include <stdio.h>

typedef struct { const char *buildNumber, *description; } ov_version_t;
typedef struct { const char* device_name; ov_version_t version; } ov_core_version_t;
typedef struct { ov_core_version_t* versions; size_t size; } ov_core_version_list_t;
int ov_core_create(void** core);
int ov_core_get_versions_by_device_name(const void* core, const char*, ov_core_version_list_t*);

const char* start(char said[256])
{
  void* core;
  ov_core_version_list_t list;
  if (ov_core_create(&core)) return "OpenVINO does not start";
  if (ov_core_get_versions_by_device_name(core, "CPU", &list) || !list.size)
    return "OpenVINO has no plug-in for CPUs";
  snprintf(said, 256, "OpenVINO %s", list.versions[0].version.buildNumber);
  return 0;
}
