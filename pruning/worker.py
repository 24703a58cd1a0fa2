"""Train along with the `Compressor` that has started this process; see `pruning.start_workers`."""

import os
import sys

import cloudpickle
import paddle

from pruning.compressor import Compressor
from pruning.start_workers import Recipe
from ssd_model.place import default_place
from ssd_model.scope import empty_scope


def main() -> None:
    paddle.enable_static()
    while True:
        try:
            recipe = cloudpickle.load(sys.stdin.buffer)
        except EOFError:  # the process that has started this one is gone
            return
        run(recipe)


def run(recipe: Recipe) -> None:
    """Train along in one run."""
    os.chdir(recipe.folder)
    train, evaluation = recipe.programs()
    reader, feed_list, train_fetch_list, eval_fetch_list, config_file = recipe.others
    scope = paddle.static.Scope()
    compressor = Compressor(
        default_place(),
        scope,
        train,
        train_reader=reader,
        train_feed_list=feed_list,
        train_fetch_list=train_fetch_list,
        eval_program=evaluation,
        eval_reader=(),  # worker 0 evaluates
        eval_fetch_list=eval_fetch_list,
    )
    compressor.config(config_file)
    compressor.run()
    empty_scope(scope)


if __name__ == "__main__":
    main()
