/* Reads what a SavedModel calls its tensors, from the bytes of a MetaGraphDef. */
#ifndef SIGNATURE_H
#define SIGNATURE_H

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Protocol buffers: a message is a row of fields, and those of text or of messages have
 * their length in front. */
typedef struct {
  const unsigned char *at, *end;
} Message;

static unsigned long read_varint(Message *message) {
  unsigned long value = 0;
  for (int shift = 0; message->at < message->end && shift < 64; shift += 7) {
    unsigned char byte = *message->at++;
    value |= (unsigned long)(byte & 127) << shift;
    if (byte < 128) break;
  }
  return value;
}

/* Moves on to the next field with a number and a length; returns whether there is one. */
static int next_field(Message *message, unsigned long number, Message *field) {
  while (message->at < message->end) {
    unsigned long tag = read_varint(message), size = 0;
    if ((tag & 7) == 0) {
      read_varint(message);
      continue;
    }
    size = (tag & 7) == 1 ? 8 : (tag & 7) == 5 ? 4 : read_varint(message);
    if (size > (size_t)(message->end - message->at)) return 0;
    field->at = message->at;
    field->end = message->at += size;
    if ((tag & 7) == 2 && tag >> 3 == number) return 1;
  }
  return 0;
}

/* Finds the value of a key in the map that a field is; maps are rows of (1 key, 2 value). */
static int look_up(Message message, unsigned long number, const char *key, Message *value) {
  Message entry, found;
  while (next_field(&message, number, &entry)) {
    Message rest = entry;
    if (next_field(&rest, 1, &found) && found.end - found.at == (long)strlen(key) &&
        !memcmp(found.at, key, strlen(key)) && next_field(&entry, 2, value))
      return 1;
  }
  return 0;
}

/* Writes the name of a tensor, such as "call:0", that a signature has under a key among its
 * inputs (side 1) or outputs (side 2); returns whether there is one. MetaGraphDef has
 * signature_def as field 5, TensorInfo name as field 1. */
static int find_tensor_name(const void *meta, size_t size, const char *signature_name,
                            unsigned long side, const char *key, char name[512]) {
  const unsigned char *data = meta;
  Message root = {data, data + size}, signature, info, found;
  if (!look_up(root, 5, signature_name, &signature) ||
      !look_up(signature, side, key, &info) || !next_field(&info, 1, &found))
    return 0;
  snprintf(name, 512, "%.*s", (int)(found.end - found.at), (const char *)found.at);
  return 1;
}

#endif
