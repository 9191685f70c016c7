"""Tar shards as WebDataset, WeNet and NeMo write them: a key has its own audio and text, none leads out of a shard."""

import gzip
import io
import json
import re
import tarfile

import pytest
from spoken import TEXTS, assert_is_the_speech, encoded, shard, write

from scaling.errors import InputError
from scaling.speech.manifest import read_manifest

pytestmark = pytest.mark.usefixtures("own_cache")


def test_tar_shards_are_read_in_place_and_in_the_order_of_their_names(tmp_path):
    wenet = {
        f"{n}.{kind}": (encoded(n) if kind == "wav" else TEXTS[n].encode()) for n in (0, 1) for kind in ("txt", "wav")
    }
    described = {
        f"deep/folder/{n}.{kind}": encoded(n, "FLAC") if kind == "flac" else json.dumps({"text": TEXTS[n]}).encode()
        for n in (2, 3, 4)
        for kind in ("flac", "json")
    }
    shard(tmp_path / "train-000.tar", wenet)
    shard(tmp_path / "train-001.tar", described)
    manifest = read_manifest(tmp_path / "train-*.tar")
    assert_is_the_speech(manifest, speakers=False)
    assert manifest.ids == ["0", "1", "deep/folder/2", "deep/folder/3", "deep/folder/4"]


def test_a_key_has_its_folder_and_shards_may_share_keys(tmp_path):
    shard(
        tmp_path / "a-0.tar",
        {f"s{n}/1.{k}": encoded(n) if k == "wav" else TEXTS[n].encode() for n in (0, 1) for k in ("txt", "wav")},
    )
    for n in (2, 3):
        shard(tmp_path / f"a-{n}.tar", {"x.wav": encoded(n), "x.txt": TEXTS[n].encode()})
    shard(tmp_path / "a-4.tar", {"x.y/z.wav": encoded(4), "x.y/z.txt": TEXTS[4].encode(), "x.y/._z.wav": b"from a Mac"})
    manifest = read_manifest(tmp_path / "a-*.tar")
    assert_is_the_speech(manifest, speakers=False)
    assert manifest.ids == ["s0/1", "s1/1", "a-2/x", "a-3/x", "x.y/z"]


def test_a_text_never_meets_the_audio_of_another_key(tmp_path):
    mixed = {"a/1.txt": b"zero", "b/1.wav": encoded(1), "b/1.txt": b"one", "a/1.wav": encoded(0), "c/1.wav": encoded(2)}
    manifest = read_manifest(shard(tmp_path / "s.tar", mixed), max_bad_share=1.0)
    assert list(zip(manifest.ids, manifest.texts, manifest.samples.tolist(), strict=True)) == [("b/1", "one", 9111)]
    assert manifest.skipped == {"no audio": 1, "repeated key": 1, "empty text": 1}
    with tarfile.open(tmp_path / "s.tar", "w") as out:
        for name, content in (("1.wav", encoded(0)), ("1.txt", b"zero"), ("1.txt", b"one"), ("1.wav", encoded(1))):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            out.addfile(member, io.BytesIO(content))
    with pytest.raises(InputError, match=r"repeated member, the first .*'1' has two members of one kind"):
        read_manifest(tmp_path / "s.tar")


def test_names_and_links_in_a_shard_lead_nowhere(tmp_path):
    write(tmp_path / "secret.wav", 1)
    shard(tmp_path / "s.tar", {"../../../0.wav": encoded(0), "../../../0.txt": b"text"})
    with tarfile.open(tmp_path / "s.tar", "a") as out:
        for kind, target in ((tarfile.SYMTYPE, "/etc/passwd"), (tarfile.LNKTYPE, str(tmp_path / "secret.wav"))):
            link = tarfile.TarInfo("1.wav")
            link.type, link.linkname = kind, target
            out.addfile(link)
    manifest = read_manifest(tmp_path / "s.tar", max_bad_share=0.9)
    assert [clip.path for clip in manifest.audio] == [tmp_path / "s.tar"]
    assert manifest.skipped == {"member that is no plain file": 2}


def test_compressed_and_torn_shards_are_told_apart(tmp_path):
    whole = shard(tmp_path / "a.tar", {"0.wav": encoded(0), "0.txt": b"zero", "1.wav": encoded(1), "1.txt": b"one"})
    (tmp_path / "b.tar.gz").write_bytes(gzip.compress(whole.read_bytes()))
    with pytest.raises(InputError, match=r"b\.tar\.gz: no tar that can be read in place"):
        read_manifest(tmp_path / "b.tar.gz")
    (tmp_path / "torn.tar").write_bytes(whole.read_bytes()[:-12_000])
    torn = read_manifest(tmp_path / "torn.tar", max_bad_share=1.0)
    assert torn.ids == ["0"]
    assert sum(torn.skipped.values()) >= 1
    shard(tmp_path / "c.tar", {"0.wav": encoded(0), "0.txt": b"zero", "1.txt": b"one", "1.wav": encoded(1)})
    content = (tmp_path / "c.tar").read_bytes()
    (tmp_path / "torn.tar").write_bytes(content[: content.rindex(b"RIFF") + 9000])  # within the audio of a whole text
    torn = read_manifest(tmp_path / "torn.tar", max_bad_share=1.0)
    assert torn.ids == ["0"]
    assert "the file ends after 9000 of its bytes" in str(torn.bad_rows)


def test_marks_in_the_texts_of_a_shard_are_skipped_and_utf_16_is_named(tmp_path):
    texts = {"0": "zero".encode("utf-8-sig"), "1": "one".encode("utf-16"), "2": b"two"}
    entries = {f"{n}.{kind}": encoded(int(n)) if kind == "wav" else texts[n] for n in texts for kind in ("wav", "txt")}
    manifest = read_manifest(shard(tmp_path / "s.tar", entries), max_bad_share=0.5)
    assert list(manifest.texts) == ["zero", "two"]
    assert "1.txt: text in UTF-16; expected UTF-8" in str(manifest.bad_rows)


def test_files_of_a_mac_and_names_without_a_dot_come_between_no_audio_and_its_text(tmp_path):
    entries = {"README": b"x", "._0.wav": b"mac", "0.wav": encoded(0), "._0.txt": b"mac", "0.txt": TEXTS[0].encode()}
    manifest = read_manifest(shard(tmp_path / "s.tar", entries))
    assert (list(manifest.ids), list(manifest.texts)) == (["0"], TEXTS[:1])


@pytest.mark.parametrize(
    ("entries", "fault"),
    [
        ({"1.txt": "caf\xe9".encode("latin-1")}, "not UTF-8, the first .*1.txt: unexpected end of data at byte 3"),
        ({"1.txt": b"x" * (1 << 21)}, "text too long to be one, the first .*1.txt: 2097152 bytes"),
        ({"1.json": b'{"text": "x"'}, "not JSON, the first .*1.json"),
        ({"1.json": b'["x"]'}, "not JSON, the first .*1.json: expected an object, found list"),
        ({"1.json": b'{"text": 3}'}, "text must be a string, not 3"),
        ({"1.json": b'{"speaker": []}'}, "speaker must be text or a number"),
        ({"1.flac": encoded(0, "FLAC"), "1.txt": b"x"}, "repeated member, the first .*'1' has two members of one kind"),
        ({"2.b.wav": encoded(1), "2.b.txt": b"x"}, "no audio, the first .*'2' has .b.wav, .b.txt; expected .wav"),
    ],
)
def test_a_text_that_cannot_be_read_is_named_and_never_guessed(tmp_path, entries, fault):
    whole = {"0.wav": encoded(0), "0.txt": TEXTS[0].encode(), "1.wav": encoded(1)}
    manifest = read_manifest(shard(tmp_path / "s.tar", {**whole, **entries}), max_bad_share=1.0)
    assert manifest.ids == ["0"]
    assert re.search(fault, str(manifest.bad_rows))


def test_a_description_tells_speakers_by_number_and_texts_as_wenet_does_and_a_blank_one_hides_no_text(tmp_path):
    entries = {
        "0.wav": encoded(0),
        "0.json": b'{"txt": "zero", "speaker": 12}',
        "1.wav": encoded(1),
        "1.txt": b"one",
        "1.json": b'{"text": " ", "speaker": null}',
    }
    manifest = read_manifest(shard(tmp_path / "s.tar", entries))
    assert (list(manifest.texts), list(manifest.speakers)) == (["zero", "one"], ["12", ""])


def test_braces_and_folders_name_shards_as_webdataset_and_nemo_do(tmp_path):
    for n in range(5):
        name = tmp_path / "tars" / f"{'ab'[n > 2]}-{n:02d}.tar"
        name.parent.mkdir(exist_ok=True)
        shard(name, {f"{n}.wav": encoded(n), f"{n}.txt": TEXTS[n].encode()})
    for pattern in (
        "tars/{a-00,a-01,a-02,b-03,b-04}.tar",
        "tars/[ab]-{00..04}.tar",
        "tars/?-_OP_00..04_CL_.tar",
        "tars",
    ):
        assert_is_the_speech(read_manifest(tmp_path / pattern), speakers=False)
    with pytest.raises(InputError, match=r"\?-05\.tar: no such file or folder"):
        read_manifest(tmp_path / "tars/?-{03..05}.tar")
    with pytest.raises(InputError, match=r"\{1\.\.999999999\} must count up, over at most 100000 numbers"):
        read_manifest(tmp_path / "tars/{1..999999999}.tar")
