"""What a person meets at the command line: help, results, one line for a mistake, and no torch where none is needed."""

from __future__ import annotations

import gzip
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from filelock import FileLock

from transfuse import Document, Entity, bundle, corpora, formats, methods
from transfuse.cli import app, demo, main, tagging
from transfuse.data.task import resolve
from transfuse.experiments.recipe import make_recipe, override
from transfuse.methods.crfsuite import Crfsuite
from transfuse.scoring.score import KINDS, score
from transfuse.scoring.significance import compare, interval

TARGET = "demo-neurology"
GOLD = resolve(TARGET).test[:8]
FOUND = tuple(document.with_entities(document.entities[1:]) for document in GOLD)
WORSE = tuple(document.with_entities(document.entities[2:]) for document in GOLD)


def leaves(command, path=()):
    below = getattr(command, "commands", None)
    return [leaf for name, sub in below.items() for leaf in leaves(sub, (*path, name))] if below else [path]


VERBS = leaves(typer.main.get_command(app))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for name, documents in (("gold", GOLD), ("found", FOUND), ("worse", WORSE)):
        formats.write(documents, tmp_path / f"{name}.jsonl", "jsonl")
    return tmp_path


@pytest.fixture
def call(here, capfd):
    """Call the command line; its exit status, standard output and standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        written = capfd.readouterr()
        return int(left.value.code or 0), written.out, written.err

    return call


@pytest.fixture
def done(call):
    """Call it, and have it end well; what it printed."""

    def done(*arguments: object) -> str:
        status, out, err = call(*arguments)
        assert status == 0, err
        return out

    return done


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder that the command line made."""
    folder = tmp_path_factory.mktemp("run") / "run"
    with pytest.raises(SystemExit) as left:
        main(["train", "--target", TARGET, "--share", "0.2", "--method", "crfsuite", "--out", str(folder)])
    assert left.value.code == 0
    return folder


def child(*arguments: object, **options: object) -> subprocess.Popen[bytes]:
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.Popen([sys.executable, "-m", "transfuse", *map(str, arguments)], **pipes)


# Starting


def test_help_takes_half_a_second_at_most():
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "transfuse", "--help"], stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) <= 0.5  # processor time, which a busy machine does not stretch


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["train", "--help"],
        ["tag", "--help"],
        ["convert", "gold.jsonl", "out.tsv"],
        ["score", "gold.jsonl", "found.jsonl", "--against", "worse.jsonl"],
        ["corpora", "list"],
        ["corpora", "info", "weibo"],
        ["corpora", "check", "gold.jsonl", "--against", "demo-cardiology"],
        ["vectors", "--help"],
        ["train"],
    ],
    ids=" ".join,
)
def test_torch_is_not_imported(here, arguments):
    script = (
        "import sys\nfrom transfuse.cli import main\n"
        f"try: main({arguments!r})\nexcept SystemExit as left: assert left.code in (0, 2), left.code\n"
        "assert 'torch' not in sys.modules"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_verb_has_help_with_an_example_of_itself(done, verb):
    printed = done(*verb, "--help")
    examples = printed.partition("Examples")[2]
    assert f"transfuse {' '.join(verb)}" in examples
    assert printed.partition("Usage:")[2].splitlines()[2].strip(), "it says what it does"


def test_version(done):
    assert done("--version") == "transfuse 0.1.0\n"


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trian"], "'train'"),
        (["train"], "'--target'"),
        (["train", "--target"], "--target"),
        (["train", "--target", "nowhere"], "'nowhere'"),
        (["train", "--target", "missing/folder"], "missing/folder: no such"),
        (["train", "--target", TARGET, "--share", "2"], "data.share"),
        (["train", "--target", TARGET, "--share", "x"], "'--share'"),
        (["train", "--target", TARGET, "--seed", "-1"], "run.seed"),
        (["train", "--target", TARGET, "--seed", "18446744073709551616"], "run.seed"),
        (["train", "--target", TARGET, "--method", "retrian"], "did you mean retrain"),
        (["train", "--target", TARGET, "--preset", "x"], "method.preset"),
        (["train", "--target", TARGET, "--set", "method.traning.epochs=3"], "did you mean method.training"),
        (["train", "--target", TARGET, "--set", "seed"], "a.b=c"),
        (["train", "--target", TARGET, "--device", "abacus"], "--device abacus"),
        (["train", "--target", TARGET, "--labels", "none.toml"], "none.toml"),
        (["train", "--target", TARGET, "--method", "joint", "--out", "run"], "no source to transfer"),
        (["compare", "--target", "nowhere", "--source", TARGET, "--out", "compared"], "'nowhere'"),
        (["compare", "--target", TARGET, "--source", "missing/folder", "--out", "compared"], "missing/folder: no such"),
        (["compare", "--target", TARGET, "--methods", "la-dlt", "--out", "compared"], "did you mean la-dtl"),
        (["compare", "--target", TARGET, "--shares", "0.1,x", "--out", "compared"], "--shares"),
        (["compare", "--target", TARGET, "--out", "compared", "--device", "abacus"], "--device abacus"),
        (["compare", "--target", TARGET, "--out", "gold.jsonl"], "--out gold.jsonl: this is no folder"),
        (["compare", "--out", "compared"], "--target"),
        (["reproduce", "la-dtl/grid", "--device", "abacus"], "--device abacus"),
        (["score", "gold.jsonl", "gold.jsonl", "--seed", "-1"], "'--seed'"),
        (["reproduce", "la-dlt"], "la-dlt"),
        (["silver", "build", "none", "--text", "gold.jsonl", "--out", "silver"], "none"),
        (["silver", "clean", "none", "--target", TARGET, "--out", "cleaned"], "none"),
        (["run", "none.toml"], "none.toml"),
        (["run", "gold.jsonl"], "gold.jsonl: not TOML"),
        (["tag", "none", "gold.jsonl"], "none: no such run"),
        (["tag", ".", "gold.jsonl"], "not a bundle"),
        (["convert", "none.tsv", "out.jsonl"], "none.tsv: no such file"),
        (["convert", "broken.jsonl", "out.tsv"], "broken.jsonl:2: "),
        (["convert", "gold.jsonl", "out.what"], "'.what'"),
        (["convert", "gold.jsonl", "out.tsv", "--from", "jsonl", "--to", "conl"], "'conl'"),
        (["convert", "gold.jsonl", "gold.jsonl"], "gold.jsonl is an input"),
        (["convert", "jsonl:gold.jsonl", "./gold.jsonl"], "is an input"),
        (["convert", "gold.jsonl", "out.tsv", "--from", "conll[scheme=x]"], "scheme"),
        (["convert", "gold.jsonl", "out.tsv", "--report", "none/r.json"], "none: no such folder"),
        (["convert", "gold.jsonl", "out.tsv", "--report", "gold.jsonl"], "gold.jsonl is an input"),
        (["convert", "gold.jsonl", "out.tsv", "--report", "./out.tsv"], "out.tsv is the output"),
        (["convert", "gold.jsonl", "out.tsv", "--report", "."], "is a folder"),
        (["train", "--target", TARGET, "--method", "crfsuite", "--out", "gold.jsonl"], "cannot be a run folder"),
        (["train", "--target", TARGET, "--method", "crfsuite", "--out", "."], "holds files and no run"),
        (["score", "gold.jsonl", "broken.jsonl"], "broken.jsonl:2: "),
        (["score", "gold.jsonl", "other.jsonl"], "the prediction lacks"),
        (["score", "gold.jsonl", "found.jsonl", "--kind", "lenient"], "'lenient'"),
        (["score", "gold.jsonl", "found.jsonl", "--bootstrap", "0"], "bootstrap"),
        (["corpora", "info", "ncbi-diseas"], "did you mean ncbi-disease"),
        (["corpora", "info", "."], "which is a path: 'transfuse corpora check' looks into one"),
        (["corpora", "get", "weebo"], "weibo"),
        (["corpora", "check", "none.jsonl"], "none.jsonl: no such file"),
        (["methods", "magic"], "'magic'"),
        (["vectors", "train", "out.txt"], "--text or --corpus"),
        (["vectors", "train", "--text", "none.txt", "out.txt"], "none.txt"),
        (["vectors", "train", "--text", "gold.jsonl", "none/out.txt"], "none: no such folder"),
        (["vectors", "train", "--text", "gold.jsonl", "gold.jsonl"], "gold.jsonl is an input"),
        (["vectors", "train", "--text", "gold.jsonl", "out.what"], "vectors go to a file in .safetensors"),
        (["vectors", "train", "--text", "gold.jsonl", "notes.txt"], "notes.txt: not word vectors"),
        (["tag", "none", "jsonl:missing.jsonl"], "missing.jsonl: no such file"),
        (["convert", "", "out.jsonl"], "'' names no file or folder"),
        (["train", "--target", "jsonl:"], "'jsonl:' names no file or folder"),
        (["convert", "mac.tsv", "out.jsonl"], "mac.tsv:1: lines end with a lone carriage return"),
        (["compare", "--target", TARGET, "--out", "gold.jsonl/x"], "/gold.jsonl is no folder"),
        (["cross-validate", "--target", TARGET, "--out", "gold.jsonl/x"], "/gold.jsonl is no folder"),
        (["train", "--target", TARGET, "--set", f"seed={'[' * 3000}"], "unknown key"),
        (["convert", f"{'x' * 300}.tsv", "out.jsonl"], "File name too long"),
        (["train", "--target", "splits"], "splits/dev.jsonl: no document in it"),
        (["demo", "--share", "0"], "--share"),
        (["demo", "--language", "fr"], "'fr'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_and_status_2(call, here, arguments, said):
    (here / "broken.jsonl").write_text('{"id": "1", "text": "a"}\n{"id": "2", "text": 3}\n')
    (here / "other.jsonl").write_text('{"id": "1", "text": "a"}\n')
    (here / "notes.txt").write_text("No sign of asthma.\n")
    (here / "mac.tsv").write_bytes(b"asthma\tB-Disease\rof\tO\r\rold\tO\r")
    (here / "splits").mkdir()
    for split in ("train", "dev"):
        (here / "splits" / f"{split}.jsonl").write_text('{"id": "1", "text": "a"}\n' if split == "train" else "")
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    status, out, err = call(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before, "nothing is written"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_one_line_and_status_2(here):
    for arguments in (("corpora", "list"), ("convert", "gold.jsonl", "-"), ("score", "gold.jsonl", "found.jsonl")):
        with open("/dev/full", "wb") as full:  # noqa: PTH123
            process = child(*arguments, cwd=here, stdout=full)
            _, err = process.communicate(timeout=60)
        assert process.returncode == 2
        assert err.decode().splitlines()[-1] == "error: No space left on device"


def test_closed_streams_are_no_fault_of_ours(here):
    for stream, arguments in (("<&-", "convert - - --from jsonl"), (">&-", "corpora list"), ("2>&-", "corpora list")):
        command = f"{sys.executable} -m transfuse {arguments} {stream}"
        process = subprocess.run(["bash", "-c", command], check=False, cwd=here, capture_output=True, timeout=60)
        assert (process.returncode, b"Traceback" in process.stderr) == (0, False)


def test_no_arguments_show_help_with_status_2(call):
    for arguments in ([], ["corpora"], ["vectors"]):
        status, out, err = call(*arguments)
        assert (status, err) == (2, "")
        assert "Usage: transfuse" in out


def test_offline_never_downloads(call, monkeypatch, tmp_path):
    monkeypatch.delenv("TRANSFUSE_MIRROR", raising=False)
    monkeypatch.setenv("TRANSFUSE_OFFLINE", "")
    monkeypatch.setenv("TRANSFUSE_CACHE", str(tmp_path / "cache"))
    status, out, err = call("--offline", "corpora", "get", "weibo")
    assert (status, out) == (2, "")
    assert "--offline" in err


def test_a_closed_pipe_is_silent():
    process = child("corpora", "list", "--json")
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() in {0, 1}


def test_ctrl_c_ends_with_130_and_the_run_can_go_on(here):
    command = ("train", "--target", TARGET, "--vectors", "none", "--set", "method.training.epochs=400", "--out", "run")
    # a shell's background jobs are born deaf to Ctrl-C, and their children with them
    process = child(*command, cwd=here, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    for _ in range(600):
        if (here / "run" / "records.jsonl").exists() and "vocabulary" in (here / "run" / "records.jsonl").read_text():
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    # A shell says 130 of either. Python ends as if by the signal where that came while a library ran exec on a string.
    assert process.returncode in {130, -signal.SIGINT}
    assert err.decode().splitlines()[-1] == "interrupted"
    assert "Traceback" not in err.decode()
    assert not (here / "run" / "done").exists()


# Converting and scoring


def test_convert_says_what_was_lost_and_reports_it(call, here):
    status, out, err = call("convert", "gold.jsonl", "out.tsv", "--report", "losses.json")
    entities = sum(len(document.entities) for document in GOLD)
    report = json.loads((here / "losses.json").read_text())
    assert (status, out) == (0, "")
    assert err.splitlines()[0] == f"8 documents, {entities} entities"
    counts = {line[8:].strip(): int(line[:8].replace(",", "")) for line in err.splitlines()[1:]}
    assert counts == report["counts"] != {}
    found = formats.read("out.tsv", "conll")
    assert sum(len(document.entities) for document in found) == entities


def test_convert_there_and_back_through_pipes(here):
    text = (here / "gold.jsonl").read_bytes()
    for to in ("bioc-json", "pubannotation", "bioc-xml"):
        there = child("convert", "-", "-", "--to", to, "--from", "jsonl", stdin=subprocess.PIPE)
        middle, _ = there.communicate(text)
        back = child("convert", "-", "-", "--from", to, stdin=subprocess.PIPE)
        end, err = back.communicate(middle)
        assert back.returncode == 0, err
        assert end == text, to


def test_convert_takes_gzip_folders_and_label_maps(done, here):
    (here / "map.toml").write_text('keep = ["Problem", "Anatomy"]\ndrop = ["Treatment"]\n[rename]\nTest = "Exam"\n')
    raw = [
        d.with_entities(Entity(e.start, e.end, e.label.replace("MedicalTest", "Test")) for e in d.entities)
        for d in GOLD
    ]
    formats.write(raw, here / "raw.jsonl", "jsonl")
    done("convert", "raw.jsonl", "notes", "--to", "brat")
    done("convert", "notes", "out.jsonl.gz", "--labels", "map.toml")
    found = map(json.loads, gzip.decompress((here / "out.jsonl.gz").read_bytes()).splitlines())
    labels = {entity["label"] for document in found for entity in document["entities"]}
    assert labels == {"Problem", "Anatomy", "Exam"}


def test_score_prints_the_scores(done):
    scores, worse = score(GOLD, FOUND), score(GOLD, WORSE)
    data = json.loads(
        done("score", "gold.jsonl", "found.jsonl", "--against", "worse.jsonl", "--json", "--bootstrap", 100)
    )
    assert data["kinds"] == scores.to_dict()
    assert data["intervals"]["micro"] == interval(scores, resamples=100).to_dict()
    assert data["intervals"]["Problem"] == interval(scores, label="Problem", resamples=100).to_dict()
    assert data["against"] == compare(scores, worse, resamples=100).to_dict()
    printed = done("score", "gold.jsonl", "found.jsonl", "--against", "worse.jsonl", "--kind", "left")
    assert f"{100 * scores.micro('left').f1:.2f}" in printed
    assert f"{100 * scores.macro('left').f1:.2f}" in printed
    assert f"{100 * (scores.micro('left').f1 - worse.micro('left').f1):+.2f}" in printed
    rows = [line.split() for line in printed.splitlines()]
    for kind in KINDS:
        rates = scores.micro(kind)
        cells = (rates.precision, rates.recall, rates.f1, scores.macro(kind).f1)
        assert [kind, *(f"{100 * cell:.2f}" for cell in cells)] in rows


def test_score_warns_in_one_line_where_no_label_is_shared(here):
    other = [d.with_entities(Entity(e.start, e.end, "X") for e in d.entities) for d in GOLD]
    formats.write(other, here / "other.jsonl", "jsonl")
    process = child("score", "gold.jsonl", "other.jsonl", cwd=here)
    _, err = process.communicate()
    assert process.returncode == 0
    assert err.startswith(b"warning: gold (")
    assert err.count(b"\n") == 1


def test_score_by_tag_class(call, here):
    gold = {"id": "a", "text": "severe asthma today", "entities": [{"start": 0, "end": 13, "label": "Disease"}]}
    found = gold | {"entities": [{"start": 7, "end": 13, "label": "Disease"}]}
    for name, document in (("g.jsonl", gold), ("p.jsonl", found)):
        (here / name).write_text(json.dumps(document) + "\n")
    status, out, _ = call("score", "g.jsonl", "p.jsonl", "--tokens", "--json")
    table = json.loads(out)["tokens"]
    assert (status, table["confusion"]["B"]) == (0, {"B": 0, "I": 0, "O": 1})
    assert table["accuracy"] == pytest.approx(1 / 3)
    _, out, _ = call("score", "g.jsonl", "p.jsonl", "--tokens")
    assert "found as O" in out and "33.33" in out
    assert "found as O" not in call("score", "g.jsonl", "p.jsonl")[1]


def test_score_knows_a_label_by_its_common_name(call, here):
    gold = [{"id": "1", "text": "x ray of lung", "entities": [{"start": 0, "end": 5, "label": "Test"}]}]
    found = [{**gold[0], "entities": [{**gold[0]["entities"][0], "label": "MedicalTest"}]}]
    for name, documents in (("gold", gold), ("found", found)):
        (here / f"{name}.jsonl").write_text("".join(json.dumps(document) + "\n" for document in documents))
    status, out, err = call("score", "gold.jsonl", "found.jsonl", "--json")
    assert (status, json.loads(out)["kinds"]["strict"]["micro"]["f1"]) == (0, 1.0)
    assert "common names, as a prediction has them: Test as MedicalTest\n" in err
    status, out, err = call("score", "gold.jsonl", "gold.jsonl", "--json")
    assert list(json.loads(out)["kinds"]["strict"]["types"]) == ["Test"] and not err


def test_two_predictions_are_scored_under_the_same_names(call, here):
    spans = [{"start": 0, "end": 1, "label": "Test"}, {"start": 2, "end": 3, "label": "Problem"}]
    theirs = [{**spans[0], "label": "MedicalTest"}, spans[1]]
    for name, entities in (("gold", spans), ("new", theirs), ("old", spans)):
        (here / f"{name}.jsonl").write_text(json.dumps({"id": "1", "text": "a b", "entities": entities}) + "\n")
    _, out, err = call("score", "gold.jsonl", "new.jsonl", "--against", "old.jsonl", "--json")
    told = json.loads(out)["against"]
    assert (told["system"], told["baseline"]) == (1.0, 1.0) and "Test as MedicalTest" in err


def test_score_counts_what_a_label_map_leaves_out(call, here):
    spans = [{"start": 0, "end": 1, "label": "A"}, {"start": 2, "end": 3, "label": "B"}]
    (here / "gold.jsonl").write_text(json.dumps({"id": "1", "text": "a b", "entities": spans}) + "\n")
    (here / "map.toml").write_text('drop = ["B"]\n[rename]\nA = "A"\n')
    _, _, err = call("score", "gold.jsonl", "gold.jsonl", "--labels", "map.toml")
    assert err.count("gold.jsonl: 1 dropped: label B") == 2


def test_a_link_stays_a_device_takes_it_and_no_folder_is_lost(call, here):
    (here / "link.jsonl").symlink_to("real.jsonl")
    assert call("convert", "gold.jsonl", "link.jsonl")[0] == 0
    assert (here / "link.jsonl").is_symlink() and (here / "real.jsonl").read_bytes() == (
        here / "gold.jsonl"
    ).read_bytes()
    os.mkfifo(here / "pipe")
    reader = subprocess.Popen(["cat", here / "pipe"], stdout=subprocess.PIPE)
    assert call("convert", "gold.jsonl", "pipe", "--to", "jsonl")[0] == 0
    assert reader.communicate(timeout=20)[0] == (here / "gold.jsonl").read_bytes()
    (here / "mine").mkdir()
    (here / "mine" / "notes.txt").write_text("fever\n")
    (here / "names.txt").write_text("fever\tDisease\n")
    status, _, err = call("silver", "gazetteer", "terms:names.txt", "--out", "mine")
    assert status == 2 and "mine is there and is no bundle" in err and (here / "mine" / "notes.txt").exists()
    for output in (".", "", "gold.jsonl/x.jsonl", "x" * 250 + ".jsonl"):
        process = child("convert", "gold.jsonl", output, "--to", "jsonl")
        err = process.communicate()[1].decode()
        assert process.returncode == 2 and err.startswith("error: ") and err.count("\n") == 1
    assert not list(here.glob(".*"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["corpora", "list", "--label", "Diseas"], "--label Diseas: no corpus has it; there is Disease"),
        (["corpora", "list", "--language", "fr"], "--language fr: no corpus has it; there is en, zh"),
        (
            ["train", "--target", TARGET, "--source", "demo-oncology", "--method", "crfsuite"],
            "--source: crfsuite looks at no",
        ),
        (["train", "--target", TARGET, "--method", "crfsuite", "--vectors", "none"], "--vectors: crfsuite has no"),
        (
            ["cross-validate", "--target", TARGET, "--method", "crfsuite", "--encoder", "minilm-l6", "--out", "folds"],
            "--encoder: crfsuite has no",
        ),
    ],
)
def test_options_without_a_use_are_refused(call, arguments, message):
    status, out, err = call(*arguments)
    assert (status, out) == (2, "") and message in err


def test_score_pairs_documents_without_ids_by_their_order(call, here):
    text = '{{"id": "{}", "text": "a b", "entities": [{{"start": 0, "end": 1, "label": "{}"}}]}}\n'
    (here / "named.jsonl").write_text(text.format("x", "A") + text.format("y", "B"))
    for name, tags in (("gold.tsv", "AB"), ("found.tsv", "AA")):
        (here / name).write_text("".join(f"a\tB-{tag}\nb\tO\n\n" for tag in tags))
    for gold in ("named.jsonl", "gold.tsv"):
        status, out, err = call("score", gold, "found.tsv", "--json")
        assert (status, json.loads(out)["kinds"]["strict"]["micro"]["tp"]) == (0, 1)
        assert err == "found.tsv: documents without ids of their own are paired with gold by their order\n"
    (here / "found.tsv").write_text("a\tB-A\nc\tO\n\na\tO\nb\tO\n\n")
    status, _, err = call("score", "named.jsonl", "found.tsv")
    assert status == 2 and "document x: the texts of gold and prediction differ from character 2 on" in err
    (here / "other.jsonl").write_text(text.format("z", "A") + text.format("y", "B"))
    assert call("score", "named.jsonl", "other.jsonl")[0] == 2, "ids of their own have to be the same"


# Corpora and methods


def test_corpora_list_and_info_say_what_is_registered(done):
    everything = json.loads(done("corpora", "list", "--json"))
    assert [facts["name"] for facts in everything] == list(corpora.names())
    listed = json.loads(done("corpora", "list", "--language", "zh", "--label", "Disease", "--json"))
    wanted = [f["name"] for f in everything if f["language"] == "zh" and "Disease" in f["common"].values()]
    assert [facts["name"] for facts in listed] == wanted != []
    printed = done("corpora", "list")
    assert all(any(line.split()[:1] == [name] for line in printed.splitlines()) for name in corpora.names())
    facts = json.loads(done("corpora", "info", "weibo", "--json"))
    assert facts == next(f for f in everything if f["name"] == "weibo")
    assert facts["licence"] in done("corpora", "info", "weibo")


def test_corpora_check_fails_on_errors_alone(call, here):
    status, out, err = call("corpora", "check", TARGET, "--against", "demo-cardiology")
    assert status == 0
    assert "demo-cardiology/train" in out
    assert err.splitlines()[-1].endswith("0 errors")
    (here / "leaky").mkdir()
    for split in ("train", "dev", "test"):
        formats.write(
            [Document("PMC4242", "No sign of asthma in the chest now.")], here / "leaky" / f"{split}.jsonl", "jsonl"
        )
    status, out, _ = call("corpora", "check", "leaky", "--json")
    assert status == 1
    assert "error" in {finding["severity"] for finding in json.loads(out)["findings"]}


@pytest.mark.mirror
def test_corpora_get_and_check_a_published_corpus(call):
    status, out, _ = call("corpora", "get", "weibo")
    name, _, folder = out.strip().partition("\t")
    assert (status, name) == (0, "weibo")
    assert Path(folder).is_dir()
    assert call("corpora", "check", "weibo")[0] in {0, 1}


@pytest.mark.parametrize("name", methods.names())
def test_methods_shows_settings_that_can_be_set(done, name):
    data = json.loads(done("methods", name, "--json"))
    assert all(setting["about"] for setting in data["settings"])
    plain = {"data": {"target": TARGET}, "method": {"name": name}}
    changes = [
        f"method.{s['setting']}={json.dumps(s['default'])}" for s in data["settings"] if s["default"] is not None
    ]
    assert make_recipe(override(json.loads(json.dumps(plain)), changes)) == make_recipe(plain)
    printed = done("methods", name)
    assert all(setting["setting"] in printed for setting in data["settings"])


def test_methods_lists_all_with_presets(done):
    data = json.loads(done("methods", "--json"))
    assert [entry["name"] for entry in data] == list(methods.names())
    assert {entry["name"]: entry["presets"] for entry in data}["retrain"] == list(methods.presets("retrain"))


# Training and tagging


def test_train_from_a_bundle(call, done, here):
    small = ("--set", "method.training.epochs=1", "--set", "method.training.steps=10", "--share", "0.1")
    done("train", "--target", "demo-neurology", *small, "--out", "base")
    said = done("train", "--target", TARGET, "--from", "base", *small, "--out", "ours")
    assert "fine-tune on " in said
    assert "carried over: words, characters, features, lstm, projection, crf; tags O, B-" in said
    for wrong, line in (
        (("--source", "demo-neurology"), "--from and --source: the tagger stands for"),
        (("--method", "retrain"), "--from: retrain has no bundle to choose"),
        (("--vectors", "task"), "--vectors: fine-tune has no vectors to choose"),
        (("--raw", "gold.jsonl"), "--raw: fine-tune reads no text without labels"),
    ):
        status, _, err = call("train", "--target", TARGET, "--from", "base", *wrong, "--out", "other")
        assert (status, err.count("\n")) == (2, 1)
        assert line in err
    status, _, err = call("train", "--target", TARGET, "--from", "nowhere", "--out", "other")
    assert (status, Path("other").exists()) == (2, False)
    assert "nowhere: no such run or bundle" in err


def test_train_leaves_a_run_and_is_not_done_twice(call, run, here):
    assert {"recipe.toml", "scores.json", "bundle", "predictions", "done"} <= {path.name for path in run.iterdir()}
    before = (run / "records.jsonl").read_bytes()
    command = ("train", "--target", TARGET, "--share", "0.2", "--method", "crfsuite", "--out", run)
    status, out, err = call(*command)
    scores = json.loads((run / "scores.json").read_text())
    assert status == 0
    assert "nothing was run again" in err
    assert (run / "records.jsonl").read_bytes() == before
    for split in ("dev", "test"):
        assert f"{100 * scores[split]['strict']['micro']['f1']:.2f}" in out
        assert f"{100 * scores[split]['relaxed']['micro']['f1']:.2f}" in out
    assert f"bundle: {run / 'bundle'}" in out
    assert json.loads(call(*command, "--json")[1])["scores"] == scores
    assert call(*command, "--seed", 1)[0] == 2, "another recipe's folder is refused"


def test_run_does_what_the_recipe_of_a_run_says(done, run, here):
    done("run", run / "recipe.toml", "--out", "again")
    assert (here / "again" / "scores.json").read_bytes() == (run / "scores.json").read_bytes()
    done("run", run / "recipe.toml", "--set", "method.iterations=1")
    (other,) = (here / "runs").iterdir()
    assert (other / "scores.json").read_bytes() != (run / "scores.json").read_bytes()


def test_flags_become_the_recipe(done, here, monkeypatch):
    seen = []
    monkeypatch.setattr("transfuse.cli.training._finish", lambda recipe, *_: seen.append(recipe))
    (here / "map.toml").write_text("")
    done(
        *("train", "--target", "a", "--source", "b", "--source", "c", "--share", 0.5, "--seed", 3, "--raw", "t"),
        *("--labels", "map.toml", "--vectors", "v.txt", "--set", "method.training.epochs=2"),
    )
    done("train", "--target", "a", "--vectors", "none")
    done("train", "--target", "a", "--source", "b", "--preset", "giorgi-bader")
    first, second, third = (recipe.to_dict() for recipe in seen)
    data = {"target": "a", "sources": ["b", "c"], "share": 0.5, "labels": "map.toml", "raw": ["t"]}
    data |= {"limit": 0, "disjoint": False}
    assert first["data"] == data
    assert (first["method"]["name"], first["run"]["seed"]) == ("retrain", 3)
    assert first["method"]["training"]["epochs"] == 2
    assert (first["method"]["vectors"]["kind"], first["method"]["vectors"]["path"]) == ("file", "v.txt")
    assert (second["method"]["name"], second["method"]["vectors"]["kind"]) == ("target-only", "none")
    assert third == make_recipe(third | {"method": {"name": "retrain", "preset": "giorgi-bader"}}).to_dict()


@pytest.mark.parametrize("verb", ["train", "compare", "cross-validate"])
def test_network_and_label_map_are_chosen_alike(call, done, here, monkeypatch, verb):
    seen = []
    monkeypatch.setattr("transfuse.cli.training._finish", lambda recipe, *_: seen.append(recipe))
    monkeypatch.setattr(
        "transfuse.cli.comparing.perform",
        lambda comparison, *_, **__: (None, seen.extend(cell.recipe for cell in comparison.cells()) or []),
    )
    monkeypatch.setattr(
        "transfuse.experiments.validation.fold_cells", lambda recipe, *_, **__: seen.append(recipe) or [recipe]
    )
    monkeypatch.setattr("transfuse.cli.validating._run", lambda *_, **__: ({}, []))
    (here / "map.toml").write_text("")
    given = ("--vectors", "none", "--encoder", "minilm-l6", "--labels", "map.toml")
    done(verb, "--target", "a", "--source", "b", *given, "--out", "out")
    assert {recipe.data.labels for recipe in seen} == {"map.toml"}
    networks = [recipe.to_dict()["method"] for recipe in seen if recipe.name != "crfsuite"]
    assert {method["name"] for method in networks} >= {"retrain"}
    for method in networks:
        encoder = method["architecture"]["encoder"]
        assert (encoder["kind"], encoder["name"], method["vectors"]["kind"]) == ("transformer", "minilm-l6", "none")


@pytest.mark.parametrize(("verb", "recipe"), [("compare", "la-dtl/grid"), ("cross-validate", "ground/ncbi-disease")])
@pytest.mark.parametrize("option", ["--vectors", "--encoder", "--labels"])
def test_what_a_recipe_says_is_not_said_again(call, verb, recipe, option):
    status, out, err = call(verb, recipe, option, "none", "--out", "out")
    assert (status, out, err) == (2, "", f"error: {option}: the recipe says it; change it there or with --set\n")


def test_tag_finds_what_the_tagger_finds(call, run, here):
    lines = [document.text.replace("\n", " ") for document in GOLD]
    (here / "notes.txt").write_text("\n\n".join(lines) + "\n", encoding="utf-8")
    (here / "more.txt.gz").write_bytes(gzip.compress((here / "notes.txt").read_bytes()))
    tagger = bundle.load(run / "bundle")
    wanted = [tuple(d.entities) for d in tagger.tag(Document(str(i), line) for i, line in enumerate(lines))]
    status, out, err = call("tag", run, "notes.txt", "more.txt.gz", "-o", "found.jsonl")
    found = list(formats.read("found.jsonl"))
    assert (status, out) == (0, "")
    assert [document.text for document in found] == lines * 2
    assert [document.entities for document in found] == wanted * 2
    assert err.splitlines()[-1].startswith(f"16 documents, {2 * sum(map(len, wanted))} entities, ")
    process = child("tag", run / "bundle", "-", "--to", "jsonl", stdin=subprocess.PIPE)
    piped, _ = process.communicate((here / "notes.txt").read_bytes())
    assert [len(json.loads(line)["entities"]) for line in piped.splitlines()] == list(map(len, wanted))
    whole = formats.read("notes.txt", "txt")
    call("tag", run, "notes.txt", "-o", "whole.jsonl", "--from", "txt")
    assert [d.text for d in formats.read("whole.jsonl")] == [d.text for d in whole]


def test_files_of_one_name_give_documents_different_ids(done, run, here):
    for folder in ("one", "two"):
        (here / folder).mkdir()
        (here / folder / "notes.txt").write_text("Fever.\nNo asthma.\n")
    done("tag", run, "one/notes.txt", "two/notes.txt", "gold.jsonl", "-o", "found.jsonl")
    assert [d.id for d in formats.read("found.jsonl")][:5] == [
        *("one/notes/1", "one/notes/2", "two/notes/1", "two/notes/2"),
        GOLD[0].id,
    ]


def test_tag_gives_confidence_and_keeps_what_reaches_the_threshold(done, run):
    done("tag", run, "gold.jsonl", "-o", "all.jsonl", "--confidence")
    done("tag", run, "gold.jsonl", "-o", "some.jsonl", "--threshold", 0.9)
    everything = [(d.id, e, e.score) for d in formats.read("all.jsonl") for e in d.entities]
    kept = [(d.id, e, e.score) for d in formats.read("some.jsonl") for e in d.entities]
    assert all(0 < value <= 1 for *_, value in everything)
    assert kept == [entry for entry in everything if entry[2] >= 0.9]
    assert 0 < len(kept) < len(everything)


def test_tag_never_writes_over_its_input_nor_half_a_file(call, run, here):
    before = (here / "gold.jsonl").read_bytes()
    (here / "broken.jsonl").write_bytes(before + b"{\n")
    for inputs, output in ((["gold.jsonl"], "gold.jsonl"), (["found.jsonl", "gold.jsonl"], here / "gold.jsonl")):
        assert call("tag", run, *inputs, "-o", output)[0] == 2
    assert call("tag", run, here, "-o", here / "inside.jsonl")[0] == 2
    status, _, err = call("tag", run, "broken.jsonl", "-o", "out.jsonl")
    assert status == 2
    assert "broken.jsonl:9: " in err
    assert (here / "gold.jsonl").read_bytes() == before
    assert {path.name for path in here.iterdir()} == {"gold.jsonl", "found.jsonl", "worse.jsonl", "broken.jsonl"}


def test_inputs_with_the_same_ids_are_told_apart(call, run, here):
    (here / "again").mkdir()
    (here / "again" / "more.jsonl").write_bytes((here / "gold.jsonl").read_bytes())
    _, out, err = call("tag", run, "gold.jsonl", "again/more.jsonl")
    names = [json.loads(line)["id"] for line in out.splitlines()]
    assert len(set(names)) == len(names) == 2 * len(GOLD)
    assert "document id is there twice" in err


def test_a_bundle_is_not_written_over(call, run, here):
    before = {path: path.read_bytes() for path in Path(run).rglob("*") if path.is_file()}
    (here / "names.txt").write_text("asthma\n")
    status, _, err = call("tag", run, "gold.jsonl", "-o", f"{run}/bundle/bundle.json", "--to", "jsonl")
    assert (status, "is an input, or lies in one" in err) == (2, True)
    status, _, err = call("silver", "gazetteer", "terms:names.txt", "--label", "Problem", "--out", f"{run}/bundle")
    assert (status, "lies in the folder of a finished run" in err) == (2, True)
    assert {path: path.read_bytes() for path in Path(run).rglob("*") if path.is_file()} == before


def test_training_says_what_it_cannot_learn_find_or_trust(call, here):
    nested = [Entity(4, 17, "Disease"), Entity(4, 9, "Anatomy")]
    notes = [Document(f"alpha{i}", f"The heart failure of patient{i} goes on.", nested) for i in range(30)]
    parted = [Document(f"beta{i}", f"Take vit. B12 in case{i} of it.", [Entity(5, 13, "Drug")]) for i in range(2)]
    for split, some in (("train", notes), ("test", [*notes[:3], *parted])):
        (here / "nested").mkdir(exist_ok=True)
        formats.write(some, here / "nested" / f"{split}.jsonl", "jsonl")
    status, _, err = call("train", "--target", "nested", "--method", "crfsuite", "--out", "run")
    assert status == 0
    listed = json.loads((here / "run" / "losses" / "nested.json").read_text())
    number = listed["counts"]["dropped: overlaps another mention"]
    for said in (
        f"in learning from nested: {number} dropped: overlaps another mention",
        "with its place: run/losses",
        "nested has no dev split: it was drawn from train (3 in it)",
        "test: Anatomy is never predicted, of 3; 27 were learned from",
        "nested test: document that train has too: 3",
        "nested test: label that train lacks: 1 (Drug)",
        "nested test: mention across the end of a sentence: 2 (beta0: 'vit. B12'",
    ):
        assert said in err
    assert {item["document"][0] for item in listed["items"]} == {"a"} and len(listed["items"]) == number


def test_a_folder_is_of_one_process_at_a_time(call, here):
    (here / "run").mkdir()
    with FileLock(here / "run" / ".lock"):
        status, _, err = call("train", "--target", TARGET, "--method", "crfsuite", "--out", "run")
    assert (status, "is worked on by another process" in err) == (2, True)


def test_what_fails_late_leaves_no_folder(call, here, monkeypatch):
    def fit(*_, **__):
        raise PermissionError(13, "Permission denied", "cache")

    monkeypatch.setattr(Crfsuite, "fit", fit)
    status, _, err = call("train", "--target", TARGET, "--method", "crfsuite", "--out", "run")
    assert (status, err) == (2, "error: cache: Permission denied\n")
    assert not (here / "run").exists()


def test_altered_runs_are_told_in_one_line(call, here):
    train = ("train", "--target", TARGET, "--method", "crfsuite", "--out", "run")
    assert call(*train)[0] == 0
    for name, text in (("scores.json", "junk"), ("scores.json", "[]"), ("recipe.toml", ""), ("records.jsonl", "[1]\n")):
        place = here / "run" / name
        kept = place.read_bytes()
        place.write_text(text)
        for arguments in (train, ("report", "run")):
            status, _, err = call(*arguments)
            assert (status, err.count("\n")) == (2, 1), (name, arguments)
        place.write_bytes(kept)


def test_tag_streams(done, run, monkeypatch):
    state = {"read": 0, "written": 0, "apart": 0}

    def read(*_):
        for i in range(3000):
            state["read"] += 1
            state["apart"] = max(state["apart"], state["read"] - state["written"])
            yield Document(str(i), "No numbness.")

    def write(documents, *_, **__):
        for _ in documents:
            state["written"] += 1

    monkeypatch.setattr(tagging, "_read", read)
    monkeypatch.setattr(formats, "write", write)
    done("tag", run, "gold.jsonl")
    assert state["written"] == 3000
    assert state["apart"] < 100


def test_vectors_are_trained_on_what_was_named(done, here, monkeypatch):
    monkeypatch.setenv("TRANSFUSE_CACHE", str(here / "cache"))
    (here / "text.txt").write_text("alpha beta gamma\n" * 9 + "delta\n", encoding="utf-8")
    command = ("vectors", "train", "--text", "txt[per=line]:text.txt", "--width", 4, "--count", 2)
    done(*command, "a.txt")
    head, *rows = (here / "a.txt").read_text().splitlines()
    assert head == "3 4"
    assert {row.split()[0] for row in rows} == {"alpha", "beta", "gamma"}
    done(*command, "b.safetensors", "--corpus", TARGET)
    from transfuse.taggers.vectors import read_vectors

    found = read_vectors(here / "b.safetensors")
    assert {"alpha", "numbness"} <= set(found.words)
    done(*command, "c.txt")
    assert (here / "c.txt").read_bytes() == (here / "a.txt").read_bytes()


def test_demo_prints_the_table_writes_the_report_and_is_instant_again(done, here, monkeypatch):
    settings = {"vectors": {"kind": "none"}, "training": {"epochs": 1, "steps": 1}}
    quick = {"target-only": settings, "crfsuite": {}, "retrain": settings | {"source_training": settings["training"]}}
    monkeypatch.setattr(demo, "METHODS", quick)
    printed = done("demo", "--out", "d", "--language", "zh", "--share", 0.05)
    rows = json.loads(done("demo", "--out", "d", "--language", "zh", "--share", 0.05, "--json"))["summary"]
    assert [row["method"] for row in rows] == ["target-only", "crfsuite", "retrain"]
    assert rows[2]["sources"] == ["demo-cardiology-zh"]
    for row in rows:
        assert re.search(rf"\b{row['mean']:.2f} +{row['low']:.2f} to {row['high']:.2f} ", printed)
    assert "report.html" in {path.name for path in (here / "d").iterdir()}
    monkeypatch.setattr("transfuse.methods.crfsuite.Crfsuite.fit", None)  # nothing is trained again
    assert done("demo", "--out", "d", "--language", "zh", "--share", 0.05) == printed


def test_threads_are_set_before_torch_is_there(here):
    script = (
        "import os\nfrom transfuse.cli import main\n"
        "try: main(['train', '--target', 'nowhere', '--threads', '2'])\nexcept SystemExit: pass\n"
        "import torch\nprint(torch.get_num_threads(), os.environ['OMP_NUM_THREADS'])"
    )
    variables = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=variables)
    assert ended.stdout == "2 2\n"
