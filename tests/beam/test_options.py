import pytest
from apache_beam.options.pipeline_options import DirectOptions

from tf_frcnn.beam.options import pipeline_options


def test_options_reach_beam():
    words = ["direct_num_workers=2", "--no_pipeline_type_check"]
    options = pipeline_options("DirectRunner", words)
    assert options.view_as(DirectOptions).direct_num_workers == 2
    assert options.get_all_options()["pipeline_type_check"] is False
    assert options.get_all_options()["runner"].endswith("FnApiRunner")


@pytest.mark.parametrize(
    "option, told",
    [
        ("num_worker=2", "--beam num_worker=2: DirectRunner of Beam has no such"),
        ("direct-num-workers=2", "--beam direct-num-workers=2: DirectRunner"),
        ("direct_num_workers", "--beam: argument --direct_num_workers: expected one"),
        ("direct_num_workers=two", "--beam: argument --direct_num_workers: invalid"),
    ],
)
def test_an_option_that_beam_does_not_know_is_named(option, told):
    with pytest.raises(ValueError) as error:
        pipeline_options("DirectRunner", [option])
    assert str(error.value).startswith(told)


def test_a_runner_that_beam_asks_for_its_options_may_have_any():
    options = pipeline_options("FlinkRunner", ["flink_own=x"])
    assert options.get_all_options(retain_unknown_options=True)["flink_own"] == "x"
