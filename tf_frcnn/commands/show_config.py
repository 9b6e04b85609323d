"""`tf-frcnn show-config`: the effective configuration, or the schema of all."""

import argparse

from tf_frcnn.commands.arguments import add_config

HELP = "print the effective configuration"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_config(parser, nargs="?")
    parser.add_argument(
        "--schema",
        action="store_true",
        help="prints the JSON schema of a configuration file, for editors, instead",
    )


def run(options: argparse.Namespace) -> None:
    """Prints the effective configuration or the schema."""
    from tf_frcnn.config import config_schema, dump_config, load_config, recipe_path

    if options.schema:
        print(config_schema())
        return
    if options.config is None:
        raise ValueError("show-config needs a CONFIG, or --schema.")
    options.config = recipe_path(options.config)
    print(dump_config(load_config(options.config, options.set)), end="")
