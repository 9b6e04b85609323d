from tf_frcnn.doctor.findings import KINDS, SEVERITIES, Finding, in_order, serious


def test_serious_findings_come_first_and_kinds_stay_together():
    kinds = [
        "tiny_boxes",
        "files_repaired",
        "shared_images",
        "rare_class",
        "tiny_boxes",
    ]
    found = in_order(Finding(kind, str(n)) for n, kind in enumerate(kinds))
    assert [f.kind for f in found] == [
        "shared_images",
        "rare_class",
        "tiny_boxes",
        "tiny_boxes",
        "files_repaired",
    ]
    assert [f.message for f in found] == ["2", "3", "0", "4", "1"]
    assert [f.kind for f in serious(found)] == ["shared_images"]


def test_every_kind_has_a_severity_and_a_remedy():
    for kind in KINDS.values():
        assert kind.severity in SEVERITIES
        assert kind.remedy[0].isupper() and kind.remedy.endswith(".")
        assert kind.title[0].islower() and not kind.title.endswith(".")
