"""PaddleSlim 1.x for today's Paddle. Importing it sets Paddle up: see `ssd_model.runtime`."""

from ssd_model import runtime

runtime.prepare()

import pruning.paddleslim_priors  # for paddleslim's own Pruner, to compare with
from pruning.artifacts import Run, find_run, load_network, prune_only, save_network
from pruning.compressor import Compressor
from pruning.config import ConfigError, load_config, load_single_strategy, write_config
from pruning.criteria import CRITERIA, l1_norm
from pruning.cut import apply_plan, silenced
from pruning.dependencies import analyse
from pruning.history import STAGES, History
from pruning.latency import measure_latency
from pruning.layer_samples import ScopedProgram
from pruning.pattern import PatternError
from pruning.pattern_report import explain_pattern
from pruning.plan import Plan, PlanError, total_plan, uniform_plan
from pruning.reconstruct import Reconstruction
from pruning.search import nearest_uniform_plan, search_uniform_plan
from pruning.selection import measure_eliminations
from pruning.sensitivity import measure_sensitivities, sensitive_plan
from pruning.target_sweep import TARGETS, between, sweep
from ssd_model.place import default_place
