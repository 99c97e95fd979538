/* Uses DALI, which opens its operators by name. */

#include <stdio.h>

const char* daliInitialize(void);

const char* start(char said[256])
{
  snprintf(said, 256, "DALI");
  return daliInitialize();
}
