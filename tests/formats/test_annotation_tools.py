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
        ({"id": 7, "text": FEVER.text, "annotations": [entity | {"user": 1}], "meta": {"a": 1}}, {"meta"}),
    ):
        found, counts = _read(_lines(record, {"id": 8, "text": "None.", "Comments": []}))
        assert found == [FEVER, Document("8", "None.")]
        assert counts == {f'skipped: member "{name}" is not read': 1 for name in lost}


def test_doccano_relations_are_counted() -> None:
    pair = {"id": 1, "from_id": 4, "to_id": 5, "type": "of"}
    found, counts = _read(_lines({"id": 7, "text": "a", "Comments": [], "entities": [], "relations": [pair, pair]}))
    assert found == [Document("7", "a")] and counts == {"skipped: relation": 2}


def test_doccano_offsets_may_count_otherwise() -> None:
    record = {"id": 7, "text": "\U0001f912 fever", "label": [[3, 8, "Symptom"]]}
    [document], _ = _read(_lines(record), "doccano[unit=utf-16]")
    assert [document.mention(entity) for entity in document.entities] == ["fever"]


# Prodigy

SPAN = {"start": 3, "end": 8, "token_start": 1, "token_end": 1, "label": "Symptom"}
HASHES = {"_input_hash": 5, "_task_hash": -3, "_is_binary": False, "_view_id": "ner_manual"}
SESSION = {"_session_id": "a-b", "_annotator_id": "b", "_timestamp": 1}
TASK = {"text": FEVER.text, "meta": {"source": "x"}, **HASHES, **SESSION, "tokens": [{"text": "No"}], "spans": [SPAN]}


def test_prodigy_leaves_out_what_was_not_accepted_and_says_so() -> None:
    answers = [TASK | {"id": 7, "answer": "accept"}, TASK | {"answer": "reject"}, TASK | {"answer": "ignore"}]
    found, counts = _read(_lines(*answers, {"text": "Well.", "_input_hash": 6, "answer": "accept", "mood": 1}))
    assert found == [FEVER, Document("handle/4", "Well.")]
    assert counts == {
        "skipped: task answered with reject": 1,
        "skipped: task answered with ignore": 1,
        'skipped: member "mood" is not read': 1,
    }


def test_prodigy_relations_are_counted() -> None:
    found, counts = _read(_lines(TASK | {"id": 7, "relations": [{"head": 0, "child": 1, "label": "of"}]}))
    assert found == [FEVER] and counts == {"skipped: relation": 1}


@pytest.mark.parametrize("asked", [{"_is_binary": True}, {"_view_id": "ner"}])
def test_prodigy_questions_of_yes_or_no_say_nothing_of_the_rest(asked: dict[str, Any]) -> None:
    assert _read(_lines(TASK | asked, TASK | {"id": 7})) == ([FEVER], {"skipped: task of yes or no": 1})


def test_prodigy_spans_may_spell_their_text() -> None:
    for mention in ("fever", None):
        assert _read(_lines({"id": 7, "text": FEVER.text, "spans": [SPAN | {"text": mention}]})) == ([FEVER], {})
    record = {"id": 7, "text": FEVER.text, "spans": [SPAN | {"text": "since"}]}
    assert _read(_lines(record))[1] == {"altered: mention differs from the text": 1}
    [document], _ = _read(_lines(record), "prodigy[mismatch=move]")
    assert [document.mention(entity) for entity in document.entities] == ["since"]


# Label Studio


def _value(start: int, end: int, mention: str | None, *labels: str) -> dict[str, Any]:
    return {"start": start, "end": end, "text": mention, "labels": list(labels)}


FOUND = _value(3, 8, "fever", "Symptom")


def _task(text: str, *annotations: dict[str, Any], **data: Any) -> dict[str, Any]:
    return {"id": 7, "annotations": list(annotations), "predictions": [], "data": {"text": text, **data}, "meta": {}}


def _annotation(*values: dict[str, Any], **more: Any) -> dict[str, Any]:
    result = [{"value": v, "id": "a", "from_name": "label", "to_name": "text", "type": "labels"} for v in values]
    return {"id": 9, "completed_by": 1, "result": result, "was_cancelled": False, **more}


def test_label_studio_whole_short_and_old() -> None:
    times = {"created_at": "a", "updated_at": "b", "lead_time": 1.5}
    short = {"id": 7, "text": FEVER.text, "label": [FOUND], "annotator": 1, "annotation_id": 9, **times}
    old = {"id": 7, "data": {"text": FEVER.text}, "completions": [{"id": 1, "result": _annotation(FOUND)["result"]}]}
    for task in (_task(FEVER.text, _annotation(FOUND)), short, short | {"label": None, "ner": [FOUND]}, old):
        for text in (json.dumps([task]), json.dumps([task], indent=2)):
            assert _read(text) == ([FEVER], {})
    _, counts = _read(json.dumps([short | {"sure": "yes"}]))
    assert counts == {'skipped: member "sure" is not read': 1}


def test_label_studio_spans_of_two_labels_of_none_and_documents_with_an_id_of_their_own() -> None:
    value = _value(3, 8, None, "Symptom", "Sign")
    annotation = _annotation(value, _value(0, 2, "No"), {"start": 9, "end": 14, "text": "since"})
    [document], counts = _read(json.dumps([_task(FEVER.text, annotation, id="note-3")]))
    assert document.id == "note-3" and [entity.label for entity in document.entities] == ["Sign", "Symptom"]
    assert counts == {"dropped: mention without a label": 2}


def test_label_studio_counts_in_utf_16() -> None:
    text = "\U0001f912 no fever"
    [document], counts = _read(json.dumps([_task(text, _annotation(_value(6, 11, "fever", "Symptom")))]))
    assert [document.mention(entity) for entity in document.entities] == ["fever"]
    assert counts == {"altered: offsets counted in utf-16": 1}


def test_label_studio_of_several_annotators() -> None:
    other = _value(0, 2, "No", "X")
    cancelled, truth = _annotation(other, was_cancelled=True), _annotation(FOUND, ground_truth=True)
    for given, lost in (
        ([cancelled, _annotation(FOUND), _annotation(other)], {"annotation that was cancelled": 1}),
        ([_annotation(other), truth], {}),
    ):
        found, counts = _read(json.dumps([_task(FEVER.text, *given)]))
        assert found == [FEVER]
        lost = {"further annotation of the same task": 1, **lost}
        assert counts == {f"skipped: {what}": number for what, number in lost.items()}


def test_label_studio_text_that_nobody_annotated_is_unknown() -> None:
    guess = _task("", id="8") | {"predictions": [_annotation()]}
    tasks = [_task("ab", _annotation(was_cancelled=True)), guess, _task("c", _annotation(), id="9")]
    found, counts = _read(json.dumps(tasks))
    assert found == [Document("7", "ab", unknown=((0, 2),)), Document("8", ""), Document("9", "c")]
    assert counts == {
        "skipped: annotation that was cancelled": 1,
        "skipped: prediction": 1,
        "skipped: task without annotation: its text is unknown": 2,
    }


def test_label_studio_results_of_other_kinds_are_counted_or_refused() -> None:
    annotation = _annotation(FOUND)
    annotation["result"] += [{"type": "choices", "value": {"choices": ["x"]}}, {"type": "relation", "from_id": "a"}]
    found, counts = _read(json.dumps([_task(FEVER.text, annotation)]))
    assert found == [FEVER]
    assert counts == {"skipped: result of type 'choices'": 1, "skipped: result of type 'relation'": 1}
    annotation["result"].append({"type": "hypertextlabels", "value": {"start": "/p[1]"}})
    with pytest.raises(DataError, match="annotated with hypertextlabels: only spans of plain text"):
        _read(json.dumps([_task(FEVER.text, annotation)]))
    annotation["result"][-1] = {"type": "labels", "to_name": "title", "value": FOUND}
    with pytest.raises(DataError, match="several texts, text and title"):
        _read(json.dumps([_task(FEVER.text, annotation)]))


def test_label_studio_texts_of_other_names() -> None:
    task = {"id": 7, "data": {"note": FEVER.text}, "annotations": [_annotation(FOUND)]}
    short = {"id": 7, "data": FEVER.text, "ner": [FOUND], "annotation_id": 1}
    assert _read(json.dumps([task]), "label-studio[text=note]") == ([FEVER], {})
    assert _read(json.dumps([short]), "label-studio[text=data]") == ([FEVER], {})
    with pytest.raises(
        DataError, match=r'^<handle>:1: "data" of a task lacks "text": name .* label-studio\[text=note\]$'
    ):
        _read(json.dumps([task]), "label-studio")


def test_label_studio_predictions_are_to_be_corrected_and_no_annotation() -> None:
    out = io.StringIO()
    found = Document("7", FEVER.text, (Entity(3, 8, "Symptom", 0.75),))
    write([found], out, "label-studio[part=predictions]")
    [task] = json.loads(out.getvalue())
    [result] = task["predictions"][0]["result"]
    assert (result["score"], result["value"], result["to_name"]) == (0.75, FOUND, "text") and "annotations" not in task
    assert _read(out.getvalue(), "label-studio")[0] == [Document("7", FEVER.text, unknown=((0, len(FEVER.text)),))]
    [corrected], _ = _read(json.dumps([{**task, "annotations": task["predictions"]}]))
    assert corrected == found and [entity.score for entity in corrected.entities] == [0.75]


# which is which


OURS = {"id": "1", "text": "a", "entities": [{"start": 0, "end": 1, "label": "X"}]}


@pytest.mark.parametrize(
    ("format", "record"),
    [
        ("jsonl", OURS | {"label": []}),
        ("jsonl", OURS | {"relations": [], "spans": []}),
        ("jsonl", OURS | {"meta": {"start_offset": 1}}),
        ("jsonl", {"id": "1", "text": 'x "spans": [ "label": [['}),
        ("cluener", {"text": "a", "label": {"X": {}}, "relations": []}),
        ("cluener", {"text": "a", "label": {"X": {}}, "spans": []}),
        ("ccks", {"originalText": "a", "entities": [], "relations": []}),
        ("pubannotation", {"text": "a", "denotations": [], "relations": []}),
        ("bioc-json", {"id": "1", "passages": [{"offset": 0, "text": "a"}], "annotations": [], "relations": []}),
        ("doccano", {"id": 1, "text": "a", "label": []}),
        ("doccano", {"id": 1, "text": "a", "Comments": [], "entities": [], "relations": []}),
        ("doccano", {"id": 1, "text": "a", "annotations": [{"label": 7, "start_offset": 0, "end_offset": 1}]}),
        ("prodigy", {"text": "a", "spans": []}),
        ("prodigy", {"text": "a", "_input_hash": 1, "_task_hash": 2, "answer": "accept"}),
        ("prodigy", TASK | {"relations": []}),
    ],
)
def test_json_lines_are_told_apart_by_their_members(format: str, record: dict[str, Any], tmp_path: Path) -> None:
    for name in ("a.jsonl", "a.unknown"):
        (tmp_path / name).write_text(_lines(record))
        assert detect(tmp_path / name) == format


def test_arrays_are_not_taken_for_what_they_are_not(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for value in ([{"text": "a", "labels": ["good"]}], [{"text": "a", "entities": [{"start": 0, "labels": ["X"]}]}]):
        path.write_text(json.dumps(value))
        with pytest.raises(DataError, match="cannot tell the format"):
            detect(path)


def test_nothing_at_all_is_ours_where_the_file_says_jsonl(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("")
    assert detect(tmp_path / "a.jsonl") == "jsonl" and not list(read(tmp_path / "a.jsonl"))
