"""Exports of doccano, Prodigy and Label Studio as these tools write them. All texts are invented."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from transfuse.formats import detect, read, write
from transfuse.losses import Losses
from transfuse.text import DataError, Document, Entity

FEVER = Document("7", "No fever since May.", (Entity(3, 8, "Symptom"),))


def _read(text: str, format: str = "auto", **options: Any) -> tuple[list[Document], dict[str, int]]:
    losses = Losses()
    return list(read(io.StringIO(text, newline=""), format, losses=losses, **options)), losses.counts


def _lines(*records: dict[str, Any]) -> str:
    return "".join(f"{json.dumps(record)}\n" for record in records)


# doccano


def test_doccano_of_all_versions() -> None:
    entity = {"id": 4, "label": "Symptom", "start_offset": 3, "end_offset": 8}
    for record, lost in (
        ({"id": 7, "text": FEVER.text, "label": [[3, 8, "Symptom"]]}, {}),
        ({"id": 7, "text": FEVER.text, "labels": [[3, 8, "Symptom"]], "Comments": ["why?"]}, {"Comments"}),
        ({"id": 7, "data": FEVER.text, "label": [[3, 8, "Symptom"]]}, {}),
        ({"id": 7, "text": FEVER.text, "entities": [entity], "relations": []}, {}),
    ):
        found, counts = _read(_lines(record, {"id": 8, "text": "None.", "Comments": []}))
        assert found == [FEVER, Document("8", "None.")]
        assert counts == {f'skipped: member "{name}" is not read': 1 for name in lost}


def test_doccano_relations_are_counted() -> None:
    pair = {"id": 1, "from_id": 4, "to_id": 5, "type": "of"}
    found, counts = _read(_lines({"id": 7, "text": "a", "entities": [], "relations": [pair, pair]}))
    assert found == [Document("7", "a")] and counts == {"skipped: relation": 2}


# Prodigy


def test_prodigy_leaves_out_what_was_not_accepted_and_says_so() -> None:
    span = {"start": 3, "end": 8, "token_start": 1, "token_end": 1, "label": "Symptom"}
    task = {
        "text": FEVER.text,
        "meta": {"source": "x"},
        "_input_hash": 5,
        "_task_hash": -3,
        "tokens": [],
        "spans": [span],
    }
    answers = [task | {"id": 7, "answer": "accept"}, task | {"answer": "reject"}, task | {"answer": "ignore"}]
    found, counts = _read(_lines(*answers, {"text": "Well.", "_input_hash": 6, "answer": "accept", "mood": 1}))
    assert found == [FEVER, Document("handle/4", "Well.")]
    assert counts == {
        "skipped: task answered with reject": 1,
        "skipped: task answered with ignore": 1,
        'skipped: member "mood" is not read': 1,
    }


def test_prodigy_spans_may_spell_their_text() -> None:
    spans = [{"start": 3, "end": 8, "label": "Symptom", "text": "fever"}]
    assert _read(_lines({"id": 7, "text": FEVER.text, "spans": spans})) == ([FEVER], {})
    spans[0]["text"] = "chill"
    _, counts = _read(_lines({"id": 7, "text": FEVER.text, "spans": spans}))
    assert counts == {"altered: mention differs from the text": 1}


# Label Studio


def _value(start: int, end: int, mention: str, *labels: str) -> dict[str, Any]:
    return {"start": start, "end": end, "text": mention, "labels": list(labels)}


def _task(text: str, *annotations: dict[str, Any], **data: Any) -> dict[str, Any]:
    return {"id": 7, "annotations": list(annotations), "predictions": [], "data": {"text": text, **data}, "meta": {}}


def _annotation(*values: dict[str, Any], **more: Any) -> dict[str, Any]:
    result = [{"value": v, "id": "a", "from_name": "label", "to_name": "text", "type": "labels"} for v in values]
    return {"id": 9, "completed_by": 1, "result": result, "was_cancelled": False, **more}


def test_label_studio_whole_and_short() -> None:
    value = _value(3, 8, "fever", "Symptom")
    short = {"id": 7, "text": FEVER.text, "label": [value], "annotator": 1, "annotation_id": 9}
    for task in (_task(FEVER.text, _annotation(value)), short):
        for text in (json.dumps([task]), json.dumps([task], indent=2)):
            assert _read(text) == ([FEVER], {})


def test_label_studio_spans_of_two_labels_and_documents_with_an_id_of_their_own() -> None:
    value = _value(3, 8, "fever", "Symptom", "Sign")
    [document], counts = _read(json.dumps([_task(FEVER.text, _annotation(value), id="note-3")]))
    assert document.id == "note-3" and [entity.label for entity in document.entities] == ["Sign", "Symptom"]
    assert not counts


def test_label_studio_counts_in_utf_16() -> None:
    text = "\U0001f912 no fever"
    [document], counts = _read(json.dumps([_task(text, _annotation(_value(6, 11, "fever", "Symptom")))]))
    assert [document.mention(entity) for entity in document.entities] == ["fever"]
    assert counts == {"altered: offsets counted in utf-16": 1}


def test_label_studio_of_several_annotators() -> None:
    other, value = _value(0, 2, "No", "X"), _value(3, 8, "fever", "Symptom")
    for given in (
        [_annotation(other, was_cancelled=True), _annotation(value), _annotation(other)],
        [_annotation(other), _annotation(value, ground_truth=True)],
    ):
        found, counts = _read(json.dumps([_task(FEVER.text, *given)]))
        assert found == [FEVER] and counts == {"skipped: further annotation of the same task": 1}


def test_label_studio_text_that_nobody_annotated_is_unknown() -> None:
    tasks = [_task("ab", _annotation(was_cancelled=True)), _task("", id="8"), _task("c", _annotation(), id="9")]
    found, counts = _read(json.dumps(tasks))
    assert found == [Document("7", "ab", unknown=((0, 2),)), Document("8", ""), Document("9", "c")]
    assert counts == {"skipped: task without annotation: its text is unknown": 2}


def test_label_studio_results_of_other_kinds_are_counted() -> None:
    annotation = _annotation(_value(3, 8, "fever", "Symptom"))
    annotation["result"] += [{"type": "choices", "value": {"choices": ["x"]}}, {"type": "relation", "from_id": "a"}]
    found, counts = _read(json.dumps([_task(FEVER.text, annotation)]))
    assert found == [FEVER]
    assert counts == {"skipped: result of type 'choices'": 1, "skipped: result of type 'relation'": 1}


def test_label_studio_members_of_other_names() -> None:
    task = {"id": 7, "data": {"note": FEVER.text}, "annotations": [_annotation(_value(3, 8, "fever", "Symptom"))]}
    short = {"id": 7, "note": FEVER.text, "ner": [_value(3, 8, "fever", "Symptom")], "annotation_id": 1}
    assert _read(json.dumps([task]), "label-studio[text=note]") == ([FEVER], {})
    assert _read(json.dumps([short]), "label-studio[text=note,label=ner]") == ([FEVER], {})
    with pytest.raises(
        DataError, match=r'^<handle>:1: "data" of a task lacks "text": name .* label-studio\[text=note\]$'
    ):
        _read(json.dumps([task]), "label-studio")


def test_label_studio_predictions_are_to_be_corrected_and_no_annotation() -> None:
    out = io.StringIO()
    found = Document("7", FEVER.text, (Entity(3, 8, "Symptom", 0.75),))
    write([found], out, "label-studio[part=predictions]")
    [task] = json.loads(out.getvalue())
    assert task["predictions"][0]["result"][0]["score"] == 0.75 and "annotations" not in task
    assert _read(out.getvalue(), "label-studio")[0] == [Document("7", FEVER.text, unknown=((0, len(FEVER.text)),))]
    assert _read(json.dumps([{**task, "annotations": task["predictions"]}])) == ([found], {})


# which is which


@pytest.mark.parametrize(
    ("format", "record"),
    [
        ("jsonl", {"id": "1", "text": "a", "entities": [], "label": []}),
        ("jsonl", {"id": "1", "text": 'x "spans": [ "label": [['}),
        ("cluener", {"text": "a", "label": {"X": {}}}),
        ("ccks", {"originalText": "a", "entities": []}),
        ("doccano", {"id": 1, "text": "a", "label": []}),
        ("doccano", {"id": 1, "text": "a", "entities": [], "relations": [], "Comments": []}),
        ("prodigy", {"text": "a", "spans": []}),
        ("prodigy", {"text": "a", "_input_hash": 1, "_task_hash": 2, "answer": "accept"}),
    ],
)
def test_json_lines_are_told_apart_by_their_members(format: str, record: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(_lines(record))
    assert detect(path) == format


def test_nothing_at_all_is_ours_where_the_file_says_jsonl(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("")
    assert detect(tmp_path / "a.jsonl") == "jsonl" and not list(read(tmp_path / "a.jsonl"))
