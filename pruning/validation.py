"""The metric that strategies decide by, on images that no result is measured on."""

from functools import cache

import paddle

from pruning.pruned_network import PrunedNetwork
from pruning.strategies import Metric, PruneStrategy
from ssd_model.data.readers import FeedList, Reader, sample
from ssd_model.evaluation import FetchList, evaluate


class Validation:
    """Evaluates a network as it is, on the batches of a reader.

    Args:
        executor, network: the network to evaluate, and the executor that runs it.
        reader, feed_list: the batches, see `ssd_model.data.readers.feeds`.
        fetch_list: (label, Variable name) pairs of metrics.
    """

    def __init__(
        self,
        executor: paddle.static.Executor,
        network: PrunedNetwork,
        reader: Reader,
        feed_list: FeedList | None,
        fetch_list: FetchList,
    ):
        self._executor, self._network = executor, network
        self._reader, self._feed_list, self._fetch_list = reader, feed_list, fetch_list

    def metric(self, strategy: PruneStrategy) -> Metric:
        """A strategy's metric, on its sample of the batches, which are read when first needed."""
        fetch = [(k, v) for k, v in self._fetch_list if k == strategy.metric_name]

        @cache
        def batches() -> tuple[Reader, FeedList | None]:
            if strategy.eval_rate is None:
                return self._reader, self._feed_list
            return sample(self._reader, strategy.eval_rate, self._feed_list), None

        def metric() -> float:
            network, (reader, feed_list) = self._network, batches()
            values = evaluate(
                self._executor, network.evaluation, reader, fetch, feed_list, scope=network.scope
            )
            return values[strategy.metric_name]

        return metric
