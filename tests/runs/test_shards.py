import pytest

from tf_frcnn.runs.shards import Shard

FILES = [f"folder/{n}.jpg" for n in range(1000)]


@pytest.mark.parametrize("total", [1, 2, 7])
def test_shards_are_disjoint_and_complete_and_about_equally_large(total):
    parts = [Shard(n, total).select(FILES) for n in range(1, total + 1)]
    assert sorted(file for part in parts for file in part) == sorted(FILES)
    for part in parts:
        assert part == sorted(part, key=FILES.index)
        assert 0.7 * 1000 / total < len(part) < 1.4 * 1000 / total


def test_other_files_do_not_change_the_part_of_a_file():
    part = Shard(2, 3).select(FILES)
    assert Shard(2, 3).select(FILES[::2]) == [
        file for file in FILES[::2] if file in part
    ]


def test_the_part_of_a_file_is_the_same_in_every_version():
    # crc32 of "a.jpg" is 0x9b34b216.
    assert 0x9B34B216 % 5 == 2
    assert Shard(3, 5).select(["a.jpg"]) == ["a.jpg"]
    assert Shard(3, 5).select(["caf\udce9.jpg", "a.jpg"])[-1] == "a.jpg"


def test_a_text_names_a_shard():
    assert Shard.parse("2/8") == Shard(2, 8)
    assert Shard(2, 8).words == "2-of-8"


@pytest.mark.parametrize("text", ["", "3", "0/2", "3/2", "1/0", "-1/2", "1/2/3", "a/b"])
def test_other_texts_are_refused(text):
    with pytest.raises(ValueError, match=r"--shard .*: give i/n with 1 <= i <= n"):
        Shard.parse(text)
