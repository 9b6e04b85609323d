/* Detects objects in image files with an exported SavedModel, without Python.
 *
 *   detect MODEL [--batch B] IMAGE...
 *   detect MODEL [--batch B] --requests N [--threads T] IMAGE...
 *
 * MODEL is the folder of a version, such as exported/1. Each request holds B images (1).
 * The first form prints a line per detection: file, class, score, and ymin, xmin, ymax,
 * xmax as shares of the image's sides, separated by tabs. The second sends the images
 * over and over from T threads (1): some requests first, which are slow, then N that are
 * measured. It prints times and memory as JSON.
 * A refused request is reported, and the next one is sent.
 *
 * Exit status: 0; 1 if a request of the first form was refused; 2 if nothing could be
 * tried.
 *
 * Built by serving/build.sh with the TensorFlow that is installed for Python.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "signature.h"
#include "tensorflow/c/c_api.h"

enum { BOXES, SCORES, NAMES, COUNTS, NUM_OUTPUTS };
static const char *const output_names[NUM_OUTPUTS] = {
    "detection_boxes", "detection_scores", "detection_class_names", "num_detections"};

typedef struct {
  const char *name;
  char *data;
  size_t size;
} Image;

typedef struct {
  TF_Graph *graph;
  TF_Session *session;
  TF_Output input, outputs[NUM_OUTPUTS];
} Model;

static void fail(const char *what, const char *why) {
  fprintf(stderr, "detect: %s: %s\n", what, why);
  exit(2);
}

static void *allocate(size_t size) {
  void *memory = calloc(size ? size : 1, 1);
  if (!memory) fail("memory", "there is none left");
  return memory;
}

static double now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return 1e3 * time.tv_sec + 1e-6 * time.tv_nsec;
}

/* The process's memory in MiB as /proc/self/status has it; 0 without one. */
static double memory_mib(const char *field) {
  FILE *file = fopen("/proc/self/status", "r");
  char line[256];
  long kib = 0;
  while (file && fgets(line, sizeof line, file))
    if (!strncmp(line, field, strlen(field))) kib = atol(line + strlen(field) + 1);
  if (file) fclose(file);
  return kib / 1024.0;
}

static Image read_image(const char *name) {
  FILE *file = fopen(name, "rb");
  Image image = {name, NULL, 0};
  if (!file || fseek(file, 0, SEEK_END)) fail(name, "it cannot be read");
  image.size = (size_t)ftell(file);
  image.data = allocate(image.size);
  rewind(file);
  if (fread(image.data, 1, image.size, file) != image.size)
    fail(name, "it cannot be read");
  fclose(file);
  return image;
}

/* Returns the tensor that serving_default has under a key among its inputs (side 1) or
 * outputs (side 2). */
static TF_Output find_tensor(const Model *model, const TF_Buffer *meta,
                             unsigned long side, const char *key) {
  TF_Output output = {NULL, 0};
  char name[512];
  if (find_tensor_name(meta->data, meta->length, "serving_default", side, key, name)) {
    char *colon = strrchr(name, ':');
    if (colon) {
      *colon = '\0';
      output.index = atoi(colon + 1);
      output.oper = TF_GraphOperationByName(model->graph, name);
    }
  }
  if (!output.oper) fail(key, "the signature serving_default has no such tensor");
  return output;
}

static Model load(const char *directory) {
  const char *tags[] = {"serve"};
  TF_Status *status = TF_NewStatus();
  TF_SessionOptions *options = TF_NewSessionOptions();
  TF_Buffer *meta = TF_NewBuffer();
  Model model = {.graph = TF_NewGraph()};
  model.session = TF_LoadSessionFromSavedModel(options, NULL, directory, tags, 1,
                                               model.graph, meta, status);
  if (TF_GetCode(status) != TF_OK) fail(directory, TF_Message(status));
  model.input = find_tensor(&model, meta, 1, "image_bytes");
  for (int i = 0; i < NUM_OUTPUTS; i++)
    model.outputs[i] = find_tensor(&model, meta, 2, output_names[i]);
  TF_DeleteBuffer(meta);
  TF_DeleteSessionOptions(options);
  TF_DeleteStatus(status);
  return model;
}

/* Sends images as one request; `outputs` are the caller's to delete if all is well. */
static void detect(const Model *model, const Image *images, int count,
                   TF_Tensor **outputs, TF_Status *status) {
  int64_t shape[] = {count};
  TF_Tensor *input =
      TF_AllocateTensor(TF_STRING, shape, 1, count * sizeof(TF_TString));
  TF_TString *strings = TF_TensorData(input);
  for (int i = 0; i < count; i++) {
    TF_StringInit(&strings[i]);
    TF_StringCopy(&strings[i], images[i].data, images[i].size);
  }
  TF_SessionRun(model->session, NULL, &model->input, &input, 1, model->outputs, outputs,
                NUM_OUTPUTS, NULL, 0, NULL, status);
  /* The header does not promise that TF_DeleteTensor frees them. */
  for (int i = 0; i < count; i++) TF_StringDealloc(&strings[i]);
  TF_DeleteTensor(input);
}

static void delete_all(TF_Tensor **outputs) {
  for (int i = 0; i < NUM_OUTPUTS; i++) TF_DeleteTensor(outputs[i]);
}

static void print_detections(const Image *images, int count, TF_Tensor **outputs) {
  const float *boxes = TF_TensorData(outputs[BOXES]);
  const float *scores = TF_TensorData(outputs[SCORES]);
  const TF_TString *names = TF_TensorData(outputs[NAMES]);
  const float *counts = TF_TensorData(outputs[COUNTS]);
  int64_t rows = TF_Dim(outputs[SCORES], 1);
  for (int i = 0; i < count; i++)
    for (int64_t row = i * rows; row < i * rows + (int64_t)counts[i]; row++)
      printf("%s\t%.*s\t%.6f\t%.6f\t%.6f\t%.6f\t%.6f\n", images[i].name,
             (int)TF_StringGetSize(&names[row]), TF_StringGetDataPointer(&names[row]),
             scores[row], boxes[4 * row], boxes[4 * row + 1], boxes[4 * row + 2],
             boxes[4 * row + 3]);
}

static int print_all(const Model *model, const Image *images, int count, int batch) {
  TF_Status *status = TF_NewStatus();
  int refused = 0;
  for (int first = 0; first < count; first += batch) {
    TF_Tensor *outputs[NUM_OUTPUTS] = {NULL};
    int size = count - first < batch ? count - first : batch;
    detect(model, images + first, size, outputs, status);
    if (TF_GetCode(status) == TF_OK) {
      print_detections(images + first, size, outputs);
      delete_all(outputs);
    } else {
      fprintf(stderr, "%s: refused with code %d: %s\n", images[first].name,
              TF_GetCode(status), TF_Message(status));
      refused++;
    }
  }
  TF_DeleteStatus(status);
  return refused > 0;
}

typedef struct {
  const Model *model;
  const Image *images;
  int num_images, batch, num_requests;
  atomic_int next, refused;
  double *times, half_mib;
} Load;

static void *send_requests(void *argument) {
  Load *load = argument;
  TF_Status *status = TF_NewStatus();
  Image *request = allocate(load->batch * sizeof(Image));
  for (int i; (i = atomic_fetch_add(&load->next, 1)) < load->num_requests;) {
    TF_Tensor *outputs[NUM_OUTPUTS] = {NULL};
    if (i == load->num_requests / 2) load->half_mib = memory_mib("VmRSS");
    for (int k = 0; k < load->batch; k++)
      request[k] = load->images[((long)i * load->batch + k) % load->num_images];
    double start = now_ms();
    detect(load->model, request, load->batch, outputs, status);
    load->times[i] = now_ms() - start;
    if (TF_GetCode(status) == TF_OK)
      delete_all(outputs);
    else
      atomic_fetch_add(&load->refused, 1);
  }
  free(request);
  TF_DeleteStatus(status);
  return NULL;
}

static int by_value(const void *a, const void *b) {
  double difference = *(const double *)a - *(const double *)b;
  return (difference > 0) - (difference < 0);
}

/* Sends requests from threads and notes how long each takes. */
static void send_from(Load *load, int num_threads, int num_requests) {
  pthread_t *threads = allocate(num_threads * sizeof(pthread_t));
  load->num_requests = num_requests;
  load->next = load->refused = 0;
  for (int i = 0; i < num_threads; i++)
    if (pthread_create(&threads[i], NULL, send_requests, load))
      fail("--threads", "so many threads cannot be had");
  for (int i = 0; i < num_threads; i++) pthread_join(threads[i], NULL);
  free(threads);
}

static void measure(Load *load, int num_threads, int num, double load_ms) {
  int num_warm = num_threads + load->num_images / load->batch;
  load->times = allocate((num > num_warm ? num : num_warm) * sizeof(double));
  send_from(load, num_threads, num_warm);
  double first = load->times[0], start = now_ms();
  send_from(load, num_threads, num);
  double total = now_ms() - start;
  qsort(load->times, num, sizeof(double), by_value);
  printf("{\"requests\": %d, \"refused\": %d, \"load_ms\": %.1f, \"first_ms\": %.2f, "
         "\"median_ms\": %.2f, \"p95_ms\": %.2f, \"images_per_s\": %.2f, "
         "\"memory_half_mib\": %.1f, \"memory_end_mib\": %.1f, "
         "\"memory_peak_mib\": %.1f}\n",
         num, load->refused, load_ms, first, load->times[num / 2],
         load->times[num * 95 / 100], 1e3 * num * load->batch / total,
         load->half_mib, memory_mib("VmRSS"), memory_mib("VmHWM"));
  free(load->times);
}

static int positive(const char *option, const char *value) {
  char *end;
  long number = value ? strtol(value, &end, 10) : 0;
  if (number < 1 || number > 1000000000 || *end) fail(option, "give a positive number");
  return (int)number;
}

int main(int argc, char **argv) {
  int batch = 1, threads = 1, num_requests = 0, num_images = 0;
  const char *directory = NULL;
  Image *images = allocate(argc * sizeof(Image));
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--batch"))
      batch = positive(argv[i], argv[i + 1]), i++;
    else if (!strcmp(argv[i], "--threads"))
      threads = positive(argv[i], argv[i + 1]), i++;
    else if (!strcmp(argv[i], "--requests"))
      num_requests = positive(argv[i], argv[i + 1]), i++;
    else if (!directory)
      directory = argv[i];
    else
      images[num_images++] = read_image(argv[i]);
  }
  if (!num_images)
    fail("usage", "detect MODEL [--batch B] [--requests N [--threads T]] IMAGE...");
  double start = now_ms();
  Model model = load(directory);
  double load_ms = now_ms() - start;
  int result = 0;
  if (num_requests) {
    Load work = {.model = &model, .images = images, .num_images = num_images,
                 .batch = batch};
    measure(&work, threads, num_requests, load_ms);
  } else {
    result = print_all(&model, images, num_images, batch);
  }
  TF_Status *status = TF_NewStatus();
  TF_CloseSession(model.session, status);
  TF_DeleteSession(model.session, status);
  TF_DeleteGraph(model.graph);
  TF_DeleteStatus(status);
  for (int i = 0; i < num_images; i++) free(images[i].data);
  free(images);
  return result;
}
