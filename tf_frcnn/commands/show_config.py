"""`tf-frcnn show-config`: the effective configuration."""

import argparse

from tf_frcnn.commands.arguments import add_config

HELP = "print the effective configuration"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_config(parser)


def run(options: argparse.Namespace) -> None:
    """Prints the effective configuration."""
    from tf_frcnn.config import dump_config, load_config, recipe_path

    options.config = recipe_path(options.config)
    print(dump_config(load_config(options.config, options.set)), end="")
