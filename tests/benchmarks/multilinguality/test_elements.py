from dataclasses import asdict

from xformer.benchmarks.multilinguality.elements import NAMES, Elements, conditions, contrasts


def test_each_condition_has_the_elements_of_its_name() -> None:
    found = conditions()
    assert found["everything"] == Elements()
    assert not any(asdict(found["nothing"]).values())
    for name, said in NAMES.items():
        off = asdict(found[f"everything - {said}"])
        assert [key for key, on in off.items() if not on] == [name]
        on = asdict(found[f"nothing + {said}"])
        assert [key for key, on in on.items() if on] == [name]
    assert found["sharing"] == Elements(anchors=False, parallel=False)
    assert found["sharing - positions"] == Elements(positions=False, anchors=False, parallel=False)
    assert len(set(found.values())) == len(found)


def test_the_conditions_of_a_contrast_differ_in_its_element_alone() -> None:
    found = conditions()
    for one in contrasts():
        on, off = asdict(found[one.on]), asdict(found[one.off])
        assert [name for name in on if on[name] != off[name]] == [one.element]
        assert on[one.element]
        beside = asdict(found[one.beside])
        assert all(on[name] == beside[name] for name in on if name != one.element)
    assert len({one.name for one in contrasts()}) == 3 * len(NAMES)
