from tests.helpers.image_files import IMAGE, encode, png_with_chunk
from tf_frcnn.data.checks.png_chunks import chunks_of


def test_chunks_come_with_their_places():
    data = encode(IMAGE, "PNG")
    chunks = [*chunks_of(data)]
    assert [kind for kind, _, _ in chunks] == [b"IHDR", b"IDAT", b"IEND"]
    assert chunks[0] == (b"IHDR", 16, 13)
    kind, start, length = chunks[1]
    assert data[start - 4 : start] == kind and start + length + 4 + 12 == len(data)


def test_a_false_claim_ends_them():
    chunks = [*chunks_of(png_with_chunk(2**31))]
    assert chunks[-1] == (b"tEXt", 41, 2**31)
    assert [*chunks_of(b"\x89PNG")] == []
