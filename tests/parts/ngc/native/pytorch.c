/* Multiplies with a libtorch that multiplies with MKL, which opens its part for this CPU by name. */

#include <stdio.h>

double at_dot(void);

const char* start(char said[256])
{
  if (at_dot() != 11.0) return "MKL does not multiply";
  snprintf(said, 256, "PyTorch");
  return 0;
}
