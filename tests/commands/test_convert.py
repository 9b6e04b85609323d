from pathlib import Path

from tf_frcnn.cli import main
from tf_frcnn.commands import convert


def test_a_conversion_must_be_complete_unless_told(monkeypatch):
    calls = []
    monkeypatch.setattr(
        convert, "convert_checkpoint", lambda *a, **k: calls.append((a, k))
    )
    words = ["convert", "torchvision", "weights.pth", "runs/new"]
    assert main(words) == 0
    options = ["--classes", "names.txt", "--variant", "resnet50", "--allow-incomplete"]
    assert main([*words, *options]) == 0
    files = ("torchvision", Path("weights.pth"), Path("runs/new"))
    chosen = {"classes": Path("names.txt"), "variant": "resnet50", "strict": False}
    assert calls == [
        (files, {"classes": None, "variant": None, "strict": True}),
        (files, chosen),
    ]
