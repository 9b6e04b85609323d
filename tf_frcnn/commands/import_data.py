"""`tf-frcnn import`: any data set as a checked folder in the form of VOC or COCO."""

import argparse

from tf_frcnn.commands.arguments import add_settings, expanded_path

HELP = "write a data set, checked, as a VOC or COCO folder"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "source", metavar="SOURCE", help="folder or file; for tfds the builder's name"
    )
    parser.add_argument(
        "output", type=expanded_path, metavar="OUT", help="a new folder"
    )
    parser.add_argument("--reader", help="name of the reader (by the form of SOURCE)")
    parser.add_argument(
        "--split",
        action="append",
        default=[],
        help="a split to write; may be repeated (all)",
    )
    parser.add_argument("--format", choices=("voc", "coco"), default="voc")
    add_settings(parser)


def run(options: argparse.Namespace) -> None:
    """Reads, checks and writes the splits of a data set."""
    from tf_frcnn.assembly import build_examples, split_names
    from tf_frcnn.config import make_config
    from tf_frcnn.data import reader_for, require_empty, write_splits
    from tf_frcnn.runs.outputs import require_writable

    require_empty(options.output)
    require_writable(options.output)
    reader = options.reader or reader_for(options.source)
    data = {"reader": reader, "directory": options.source}
    # So that these names mean the reader's own splits.
    data |= {f"{role}_split": role for role in ("train", "validation", "test")}
    config = make_config({"data": data}, options.source, texts=options.set)
    splits = {}
    for split in options.split or split_names(config):
        splits[split] = examples = build_examples(config, split)
        if examples.problems.rows:
            print(f"{examples.name}:")
            examples.problems.print()
    write_splits(splits, options.output, options.format)
    for split, examples in splits.items():
        num_objects = sum(len(record.boxes) for record in examples.records)
        print(
            f"{options.output}: {split or 'all'}, {len(examples.records)} images, "
            f"{num_objects} objects."
        )
