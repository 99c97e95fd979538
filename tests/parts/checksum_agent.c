/* A repository agent for tests: where a model's parameters say "MD5:<path below the model's folder>"
   it refuses files with another MD5, as the published behaviour of NVIDIA's checksum agent is.
   MD5 follows RFC 1321. */

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of Triton's C API, what is used here. */
typedef struct Error Error;
typedef struct Agent Agent;
typedef struct Model Model;
enum { INVALID_ARGUMENT = 3, UNSUPPORTED = 5 };
enum { FILESYSTEM = 0 };
enum { LOAD = 0 };
Error* TRITONSERVER_ErrorNew(int code, const char* message);
Error* TRITONREPOAGENT_ModelRepositoryLocation(Agent*, Model*, int* kind, const char** location);
Error* TRITONREPOAGENT_ModelParameterCount(Agent*, Model*, uint32_t* count);
Error* TRITONREPOAGENT_ModelParameter(
    Agent*, Model*, uint32_t index, const char** name, const char** value);

static uint32_t turned(uint32_t x, int by) { return x << by | x >> (32 - by); }

static void take(uint32_t state[4], const uint8_t* block)
{
  static const int turns[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
  uint32_t a = state[0], b = state[1], c = state[2], d = state[3], words[16];
  memcpy(words, block, 64);
  for (int i = 0; i < 64; i++) {
    uint32_t mixed;
    int at;
    if (i < 16) { mixed = (b & c) | (~b & d); at = i; }
    else if (i < 32) { mixed = (d & b) | (~d & c); at = (5 * i + 1) % 16; }
    else if (i < 48) { mixed = b ^ c ^ d; at = (3 * i + 5) % 16; }
    else { mixed = c ^ (b | ~d); at = 7 * i % 16; }
    uint32_t constant = (uint32_t)(fabs(sin(i + 1)) * 4294967296.0);
    uint32_t next = b + turned(a + mixed + constant + words[at], turns[i / 16][i % 4]);
    a = d; d = c; c = b; b = next;
  }
  state[0] += a; state[1] += b; state[2] += c; state[3] += d;
}

/* Of a file, as 32 hexadecimal digits; 0 when it cannot be read. */
static int md5(const char* path, char text[33])
{
  uint32_t state[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
  uint8_t block[64];
  uint64_t size = 0;
  size_t got;
  FILE* file = fopen(path, "rb");
  if (!file) return 0;
  while ((got = fread(block, 1, 64, file)) == 64) { take(state, block); size += 64; }
  fclose(file);
  size += got;
  block[got++] = 0x80;
  if (got > 56) { memset(block + got, 0, 64 - got); take(state, block); got = 0; }
  memset(block + got, 0, 56 - got);
  size *= 8;
  memcpy(block + 56, &size, 8);
  take(state, block);
  for (int i = 0; i < 16; i++)
    sprintf(text + 2 * i, "%02x", (state[i / 4] >> (8 * (i % 4))) & 0xff);
  return 1;
}

Error* TRITONREPOAGENT_ModelAction(Agent* agent, Model* model, int action)
{
  const char *location, *name, *value;
  char path[4096], found[33], message[8192];
  int kind;
  uint32_t count;
  Error* error;
  if (action != LOAD) return NULL;
  if ((error = TRITONREPOAGENT_ModelRepositoryLocation(agent, model, &kind, &location))) return error;
  if (kind != FILESYSTEM) return TRITONSERVER_ErrorNew(UNSUPPORTED, "not on a file system");
  if ((error = TRITONREPOAGENT_ModelParameterCount(agent, model, &count))) return error;
  for (uint32_t i = 0; i < count; i++) {
    if ((error = TRITONREPOAGENT_ModelParameter(agent, model, i, &name, &value))) return error;
    if (strncmp(name, "MD5:", 4)) return TRITONSERVER_ErrorNew(UNSUPPORTED, name);
    snprintf(path, sizeof path, "%s/%s", location, name + 4);
    if (!md5(path, found)) {
      snprintf(message, sizeof message, "failed to open %s", name + 4);
      return TRITONSERVER_ErrorNew(INVALID_ARGUMENT, message);
    }
    if (strcmp(found, value)) {
      snprintf(
          message, sizeof message, "Mismatched MD5 hash for file %s, expect: %s, got: %s", name + 4,
          value, found);
      return TRITONSERVER_ErrorNew(INVALID_ARGUMENT, message);
    }
  }
  return NULL;
}
