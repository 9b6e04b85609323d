#!/usr/bin/env bash
# Builds detect.c with the TensorFlow of a Python: serving/build.sh OUTPUT [PYTHON]
set -euo pipefail
tf=$("${2:-python}" -c "import tensorflow as tf; print(tf.sysconfig.get_lib())")
cc -std=c11 -O2 -Wall -Wextra -Werror -pthread -I"$tf/include" \
    -o "$1" "$(dirname "$0")/detect.c" \
    -L"$tf" -l:libtensorflow_cc.so.2 -l:libtensorflow_framework.so.2 -Wl,-rpath,"$tf"
