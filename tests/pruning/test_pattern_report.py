"""The pattern report: what a pattern takes, nearly takes, and what may be wrong with it."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pruning.dependencies import analyse
from pruning.pattern import PatternError
from pruning.pattern_report import escape_dots, explain_pattern
from ssd_model.programs import build_detector

PATTERN = "conv2d_[1-9].w_0|conv2d_1[0-2].w_0"
TWELVE = tuple(f"conv2d_{i}.w_0" for i in range(1, 13))


@pytest.fixture(scope="module")
def dependencies():
    return analyse(build_detector(4, is_train=False).program)


def test_the_originals_pattern(dependencies):
    report = explain_pattern(dependencies, PATTERN)
    assert report.prunable == TWELVE
    assert report.search_only == tuple(f"depthwise_{name}" for name in TWELVE)
    assert not report.refused and not report.dot_only and not report.open_end
    assert dependencies.match(report.explicit) == list(TWELVE)
    assert [name for name in dependencies.shapes if re.search(f"^({report.explicit})", name)] == [
        *TWELVE
    ]
    assert list(report.table().index) == [*TWELVE, *report.search_only]


@pytest.mark.parametrize(
    ("pattern", "cut", "refused", "dot", "words"),
    [
        ("conv2d_1", 11, 0, 0, r"end it with \.w_0$"),
        ("conv2d_1.", 11, 0, 10, r"so took conv2d_10.w_0"),
        (r"conv2d_1\.", 1, 0, 0, "only the beginning of conv2d_1.w_0"),
        ("conv2d_[1-12].w_0", 2, 0, 0, "[1-12] is 1 or 2"),
        ("conv2d_.*", 22, 24, 0, "name the filters one by one"),
        ("batch_norm_3.w_0", 0, 1, 0, "nothing it matches can be cut"),
        ("conv.*_weights", 0, 0, 0, "called conv2d_1.w_0 here"),
        ("2d_1.w_0", 0, 0, 0, "matched from their beginning"),
        ("conv2d_*.w_0", 0, 0, 0, "any text write .*"),
        ("conv2d_1.w_0, conv2d_2.w_0", 0, 0, 0, "separated by | alone"),
        ("Conv2d_1.w_0", 0, 0, 0, "lower case"),
        ("conv2d_1.w1", 0, 0, 0, "the nearest name is conv2d_1.w_0"),
        ("layer", 0, 0, 0, "names look like conv2d_0.w_0"),
    ],
)
def test_typical_mistakes_have_a_sentence(dependencies, pattern, cut, refused, dot, words):
    report = explain_pattern(dependencies, pattern)
    assert (len(report.prunable), len(report.refused), len(report.dot_only)) == (cut, refused, dot)
    assert any(words in sentence for sentence in report.advice), report.advice
    assert str(report).count("safest") == (cut > 0)
    if not cut and not refused:
        with pytest.raises(PatternError, match=re.escape(words)):
            dependencies.match(pattern)


def test_bad_syntax_says_what_to_do(dependencies):
    for pattern in ("(", "conv2d_[1-9", "*", "a{2,1}", "(?P<a"):
        with pytest.raises(PatternError, match="not a regular expression"):
            explain_pattern(dependencies, pattern)


@pytest.mark.parametrize(
    ("pattern", "strict"),
    [
        ("a.b", r"a\.b"),
        (r"a\.b", r"a\.b"),
        ("a.*b.+c.?d.{2}", "a.*b.+c.?d.{2}"),
        ("[.]a[^.]", "[.]a[^.]"),
        (r"[\].]a.", r"[\].]a\."),
        ("[]..]a", "[]..]a"),
        (".", r"\."),
    ],
)
def test_escape_dots(pattern, strict):
    assert escape_dots(pattern) == strict


@pytest.mark.filterwarnings("ignore:Possible (nested )?set:FutureWarning")
@settings(max_examples=150, deadline=None)
@given(pattern=st.text(r"conv2d_.w0[]{}|\\*+?^$-,1 ", max_size=12))
@example("(?i)CONV9")
@example("(?x) conv9 # .")
@example("(?P<n>conv)9(?P=n)")
@example("(?#.[)conv2d_1.w_0")
@example("(?<=.)x")
@example("\0")
def test_any_pattern_gets_a_report_or_a_pattern_error(dependencies, pattern):
    try:
        report = explain_pattern(dependencies, pattern)
    except PatternError as error:
        with pytest.raises(re.error):
            re.compile(pattern)
        assert "not a regular expression" in str(error)
        return
    matched = [name for name in dependencies.shapes if re.match(pattern, name)]
    assert sorted([*report.prunable, *report.refused]) == sorted(matched)
    assert matched or report.advice
    assert pattern in str(report)


@pytest.mark.parametrize("pattern", ["*._sep_weights", "conv2d_1.w_0|*.w_0"])
def test_a_star_with_nothing_before_it_gets_the_right_advice(dependencies, pattern):
    with pytest.raises(PatternError, match=r"for any text write \.\*"):
        dependencies.match(pattern)
