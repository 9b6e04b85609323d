import os

import pytest

from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.data.readers.text_files import decode_xml, read_list


def declared(name, text="猫", encoding=None):
    return f'<?xml version="1.0" encoding="{name}"?><a>{text}</a>'.encode(
        encoding or name
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("gbk", "猫"), ("gb2312", "猫"), ("GB18030", "猫"), ("big5", "貓")),
        *(("shift_jis", "猫"), ("euc-kr", "고양이"), ("windows-1252", "Käfer")),
        *(("iso-8859-1", "Käfer"), ("utf-8", "猫"), ("utf-16", "猫")),
    ],
)
def test_a_declared_encoding_is_that_of_the_file(name, text):
    assert f"<a>{text}</a>" in decode_xml(declared(name, text))


@pytest.mark.parametrize(
    ("name", "text", "encoding"),
    [
        ("gb2312", "镕", "gbk"),
        ("shift_jis", "①", "cp932"),
        # .NET writes the declaration of its strings into files in UTF-8.
        ("utf-16", "猫", "utf-8"),
    ],
)
def test_what_programs_write_under_a_narrower_name_is_read(name, text, encoding):
    assert f"<a>{text}</a>" in decode_xml(declared(name, text, encoding))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_marks_and_zeros_tell_the_encoding_without_a_declaration(encoding):
    assert decode_xml("\n <a>猫</a>".encode(encoding)) == "<a>猫</a>"


def test_other_encodings_without_a_declaration_are_one_clear_reason():
    with pytest.raises(ValueError) as error:
        decode_xml("<a>狗</a>".encode("gbk"))
    assert str(error.value) == (
        "it declares no encoding and is not UTF-8; save it as UTF-8"
    )


def test_a_false_declaration_and_an_unknown_one_are_named():
    with pytest.raises(ValueError, match="it declares the encoding utf-8, but is not"):
        decode_xml(declared("utf-8", "狗", "gbk"))
    with pytest.raises(ValueError, match="declares the encoding 'martian', which is"):
        decode_xml(declared("martian", "a", "ascii"))


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lists_are_read_as_shells_write_them(tmp_path, encoding, end):
    path = tmp_path / "train.txt"
    path.write_bytes(end.join(["a", "猫", "b c", ""]).encode(encoding))
    assert read_list(path) == ["a", "猫", "b c"]


def test_a_list_in_another_encoding_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "train.txt"
    path.write_bytes("狗".encode("gbk"))
    with pytest.raises(DataError, match=r"train\.txt is neither UTF-8 nor UTF-16 text"):
        read_list(path)


def test_a_pipe_is_no_list(pipe):
    with pytest.raises(DataError, match="it is not a regular file"):
        read_list(pipe)
    assert os.path.exists(pipe)
