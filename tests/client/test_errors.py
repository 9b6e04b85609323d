import pytest

from tf_frcnn.client.errors import RefusedImageError, require_at_least, server_error

REFUSAL = (
    "Graph execution error:\n\nassertion failed: [image_bytes[12]: its header claims "
    "300 x 400 pixels (height x width), more than the 0.08 megapixels allowed]\n\t [[{{"
)


def test_a_refusal_says_which_image_and_why():
    error = server_error("here", "INVALID_ARGUMENT", REFUSAL)
    assert isinstance(error, RefusedImageError) and error.index == 12
    assert error.reason == (
        "its header claims 300 x 400 pixels (height x width), more than the 0.08 "
        "megapixels allowed"
    )


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("INTERNAL", REFUSAL),
        ("INVALID_ARGUMENT", "JSON object: does not have named input: image_bytes"),
    ],
)
def test_other_errors_are_no_refusals(code, message):
    assert not isinstance(server_error("here", code, message), RefusedImageError)


def test_an_error_is_one_line_of_bounded_length():
    text = str(server_error("here", "INTERNAL", "a\n\n b\t" + "c" * 5000))
    assert text.startswith("here: INTERNAL: a b ccc") and text.endswith("ccc ...")
    assert "\n" not in text and len(text) < 500


def test_a_servers_words_cannot_command_a_terminal():
    text = str(server_error("here", "INTERNAL", "a\x1b[31m\x07b\x9b\u202ec\0d"))
    assert text == "here: INTERNAL: a [31m b cd".replace("cd", "c d")
    refusal = "[image_bytes[1]: a\x1b[2Jb" + "c" * 5000
    error = server_error("here", "INVALID_ARGUMENT", refusal)
    assert error.reason.startswith("a [2Jbc") and len(error.reason) <= 400


def test_the_first_setting_below_what_it_must_be_is_named():
    require_at_least(0, retries=0)
    with pytest.raises(ValueError, match=r"^--batch-size 0: it must be at least 1\.$"):
        require_at_least(1, concurrency=2, batch_size=0)
    with pytest.raises(ValueError, match="--timeout nan"):
        require_at_least(0, timeout=float("nan"))
