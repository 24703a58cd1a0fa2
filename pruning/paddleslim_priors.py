"""Teach paddleslim's own Pruner that a detector's priors have no channels."""

from paddleslim.prune.prune_worker import PRUNE_WORKER, PruneWorker


@PRUNE_WORKER.register
class prior_box(PruneWorker):  # noqa: N801 (paddleslim finds it by the operator's name)
    """Priors take only a map's height and width, so fewer channels change nothing."""

    def _prune(self, var, pruned_axis, transforms):
        pass
