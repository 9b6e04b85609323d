import pytest
import tensorflow as tf

from tf_frcnn.doctor import machine


@pytest.mark.parametrize(
    ("flags", "can"),
    [("sse avx512_bf16 f16c", True), ("amx_bf16", True), ("avx2", False)],
)
def test_a_cpu_tells_by_its_flags(tmp_path, monkeypatch, flags, can):
    (tmp_path / "cpuinfo").write_text(f"processor: 0\nflags: fpu {flags}\n")
    monkeypatch.setattr(machine, "_CPU_FILE", tmp_path / "cpuinfo")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    assert machine.multiplies_bfloat16() is can


def test_without_the_file_nothing_is_assumed(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "_CPU_FILE", tmp_path / "nothing")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    assert not machine.multiplies_bfloat16()


@pytest.mark.parametrize(("capability", "can"), [((8, 0), True), ((7, 5), False)])
def test_a_gpu_tells_by_its_generation(monkeypatch, capability, can):
    details = {"compute_capability": capability}
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["GPU:0"])
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", lambda gpu: details
    )
    assert machine.multiplies_bfloat16() is can
