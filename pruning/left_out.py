"""What a PaddleSlim 1.x config may name but this project lacks, and what to use instead."""

from pruning.yaml_lines import YamlFile

SEARCH = "searching networks is not pruning: see paddleslim.nas"
INT8 = "for int8 see ssd_model.export.int8 and notebook 4, while training paddleslim.quant"
TEACHER = "a teacher goes into the train Program, see build_detector(teacher='outputs')"
ONE_FILE = "one file holds the whole config: copy the others into it"

STRATEGIES = {
    "AutoPruneStrategy": f"{SEARCH}; SensitivePruneStrategy also gives each layer its own ratio",
    "LightNASStrategy": SEARCH,
    "QuantizationStrategy": INT8,
    "MKLDNNPostTrainingQuantStrategy": INT8,
    "DistillationStrategy": TEACHER,
}
SECTIONS = {
    "controllers": SEARCH,
    "quantizers": INT8,
    "distillers": TEACHER,
    "include": ONE_FILE,
}


def refuse_left_out(file: YamlFile) -> None:
    """Refuse by name what the original had and this project does not.

    Raises:
        ConfigError: the file names such a thing; the message says what to use instead.
    """
    for key, instead in SECTIONS.items():
        if key in file.values:
            file.fail((key,), f"is not here: {instead}")
    strategies = file.values.get("strategies")
    for name, strategy in strategies.items() if isinstance(strategies, dict) else ():
        kind = strategy.get("class") if isinstance(strategy, dict) else None
        if isinstance(kind, str) and kind in STRATEGIES:
            where = ("strategies", name, "class")
            file.fail(where, f"is {kind!r}, which is not here: {STRATEGIES[kind]}")
