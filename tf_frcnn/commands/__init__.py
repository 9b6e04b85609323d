"""The commands of `tf-frcnn`, one module each.

A command is a module with `HELP`, one line of text; `add_arguments(parser)`; and
`run(options)`, which does it and may return an exit status. TensorFlow takes seconds to
import, so a command's functions import what they need.
"""

from tf_frcnn.commands import (
    client,
    compare,
    convert,
    demo,
    doctor,
    evaluate,
    explain,
    export,
    import_data,
    make_shapes,
    new,
    predict,
    replay,
    show_config,
    train,
)

COMMANDS = {
    "new": new,
    "train": train,
    "evaluate": evaluate,
    "explain": explain,
    "compare": compare,
    "predict": predict,
    "export": export,
    "client": client,
    "demo": demo,
    "convert": convert,
    "show-config": show_config,
    "doctor": doctor,
    "replay": replay,
    "import": import_data,
    "make-shapes": make_shapes,
}
