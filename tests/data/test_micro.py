from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_fer.data.clips import read_clip
from edge_fer.data.micro import cut, read_cas_me_2, read_casme, read_casme2, read_samm
from edge_fer.errors import DataError

CASME2 = "Subject,Filename,,OnsetFrame,ApexFrame,OffsetFrame,,Action Units,Estimated Emotion"
SAMM = (
    "Subject,Filename,Inducement Code,Onset Frame,Apex Frame,Offset Frame,Duration,Micro,"
    "Action Units,Estimated Emotion,Objective Classes,Notes"
)
CASME = "Subject,Filename,OnsetF,ApexF1,ApexF2,OffsetF,Duration,AU,Emotion"


@pytest.fixture
def frames(pictures):
    def write(folder, pattern, first, last):
        return pictures([pattern.format(n) for n in range(first, last + 1)], folder)

    return write


def test_casme2_clips_are_cut_out_of_the_whole_recording(frames, lines):
    lines("CASME2-coding-20190701.csv", CASME2, "1,EP02_01f,,46,59,86,,4,happiness")
    root = frames("CASME2-RAW/sub01/EP02_01f", "img{}.jpg", 1, 100)
    dataset = read_casme2(root)
    (item,) = dataset.items
    assert (item.name, item.subject) == ("sub01/EP02_01f", "sub01")
    assert dataset.label_names[item.label] == "happy"
    clip = item.source
    assert [clip.files[i].name for i in (clip.onset, clip.apex, clip.offset)] == [
        "img46.jpg", "img59.jpg", "img86.jpg",
    ]  # fmt: skip
    assert read_clip(item).shape == (41, 8, 8)


def test_casme2_cropped_frames_go_before_the_originals(frames, lines):
    lines("CASME2-coding-20190701.csv", CASME2, "01,EP02_01f,,46,59,86,,4,Others")
    frames("CASME2-RAW/sub01/EP02_01f", "img{}.jpg", 1, 100)
    clip = read_casme2(frames("Cropped/sub01/EP02_01f", "reg_img{}.jpg", 46, 86)).items[0].source
    assert (clip.onset, clip.apex, clip.offset) == (0, 13, 40)
    assert clip.files[0].name == "reg_img46.jpg"


def test_the_newest_of_two_tables_is_in_force(frames, lines):
    lines("CASME2-coding-20140508.csv", CASME2, "1,EP02_01f,,1,2,3,,4,disgust")
    lines("CASME2-coding-20190701.csv", CASME2, "1,EP02_01f,,1,2,3,,4,sadness")
    dataset = read_casme2(frames("sub01/EP02_01f", "img{}.jpg", 1, 5))
    assert dataset.label_names[dataset.items[0].label] == "sad"


def test_rows_that_cannot_be_used_are_problems(frames, lines):
    file = lines(
        "coding.csv", CASME2, "1,EP02_01f,,1,/,4,,4,disgust", "1,EP02_01f,,x,2,3,,4,disgust",
        "1,EP02_01f,,1,2,3,,4,boredom", "1,EP09_09,,1,2,3,,4,disgust",
        ",EP02_01f,,1,2,3,,4,disgust",
        "1,EP02_01f,,90,95,99,,4,disgust", "1,EP02_01f,,1,/,/,,4,disgust",
        "1,EP02_01f,,1,2,4,,4,disgust",
    )  # fmt: skip
    dataset = read_casme2(frames("sub01/EP02_01f", "img{}.jpg", 1, 9))
    (item,) = dataset.items
    assert (item.source.onset, item.source.apex, item.source.offset) == (0, -1, 3)
    expected = [
        f"{file}:3: OnsetFrame is 'x', not a whole number",
        f"{file}:4: emotion 'boredom' is not known",
        f"{file}:5: no folder of frames for sub01/EP09_09",
        f"{file}:6: subject '' is not a number",
        f"{file}:7: no frame from 90 to 99",
        f"{file}:8: neither apex nor offset is annotated",
        "sub01/EP02_01f: listed 2 times, read once",
    ]
    assert [
        line.startswith(start) for line, start in zip(dataset.problems, expected, strict=True)
    ] == [True] * 7


def test_the_table_itself_may_be_given(frames, lines):
    file = lines("my list.csv", CASME2, "1,EP02_01f,,1,2,3,,4,fear")
    frames("sub01/EP02_01f", "img{}.jpg", 1, 5)
    assert len(read_casme2(file)) == 1


def test_samm_has_notes_above_its_header_and_subjects_in_file_names(frames, lines):
    lines(
        "SAMM_Micro_FACS_Codes_v2.csv",
        "Notes",
        "",
        SAMM,
        "6,006_1_2,1,5562,5572,5588,27,x,4,Other,5,",
    )
    dataset = read_samm(frames("006/006_1_2", "006_{:05d}.jpg", 5562, 5588))
    (item,) = dataset.items
    assert (item.name, item.subject, item.label) == ("006/006_1_2", "006", 7)
    assert (item.source.onset, item.source.apex, item.source.offset) == (0, 10, 26)


def test_casme_has_a_table_per_section(frames, lines):
    lines("Section A/CASME-A.csv", CASME, "1,EP01_5,3,5,,9,7,4,tense")
    lines("Section B/CASME-B.csv", CASME, "8,EP02_1,1,2,,4,4,4,Repression")
    frames("Section A/sub01/EP01_5", "EP01_5-{:03d}.jpg", 1, 12)
    dataset = read_casme(frames("Section B/sub08/EP02_1", "EP02_1-{:03d}.jpg", 1, 12))
    assert [(item.name, dataset.label_names[item.label]) for item in dataset.items] == [
        ("sub01/EP01_5", "tense"),
        ("sub08/EP02_1", "repression"),
    ]
    assert dataset.items[0].source.apex == 4


@pytest.mark.parametrize("folder", ["rawpic/s15/15_0401girlcrashing", "cropped/15/anger1_1"])
def test_cas_me_2_has_no_header_and_numbers_people_anew(frames, lines, folder):
    lines(
        "code_final.csv", "1,anger1_1,3,5,8,4+7,negative,micro-expression,anger",
        "1,anger1_2,9,10,0,4,Others,macro-expression,anger",
        "23,anger1_3,9,10,11,4,positive,macro-expression,anger",
    )  # fmt: skip
    dataset = read_cas_me_2(frames(folder, "img{}.jpg", 1, 12))
    item = dataset.items[0]
    assert (item.subject, item.tags) == ("s15", ("micro",))
    assert dataset.label_names[item.label] == "negative"
    assert (item.source.onset, item.source.apex, item.source.offset) == (2, 4, 7)
    assert "subject 23 is outside 1..22" in dataset.problems[-1]


def test_an_offset_of_zero_is_the_apex(frames, lines):
    lines("code_final.csv", "1,happy1_1,3,5,0,4,positive,macro-expression,joy")
    dataset = read_cas_me_2(frames("rawpic/s15/15_0502funnyerrors", "img{}.jpg", 1, 12))
    assert (dataset.items[0].source.offset, dataset.items[0].tags) == (4, ("macro",))


@pytest.mark.parametrize("read", [read_casme, read_casme2, read_cas_me_2, read_samm])
def test_missing_tables_and_clips_are_refused_by_name(tmp_path, lines, read):
    with pytest.raises(DataError, match="nowhere"):
        read(tmp_path / "nowhere")
    with pytest.raises(DataError, match="no table of"):
        read(tmp_path)
    file = lines("casme-coding-samm-code.csv", CASME2, "1,EP02_01f,,1,2,3,,4,surprise")
    with pytest.raises(DataError, match="no folder of frames"):
        read(file)
    lines("casme-coding-samm-code.csv", "a,b", "1,2")
    with pytest.raises(DataError, match="no column"):
        read(tmp_path)


@given(
    numbers=st.lists(st.integers(0, 50), min_size=1, unique=True).map(sorted),
    onset=st.integers(-5, 60),
    apex=st.integers(-1, 60),
    offset=st.integers(-5, 60),
)
def test_a_cut_stays_between_onset_and_offset(numbers, onset, apex, offset):
    files = [Path(f"img{number}.jpg") for number in numbers]
    inside = [number for number in numbers if onset <= number <= offset]
    if not inside:
        with pytest.raises(DataError, match="no frame"):
            cut(files, onset, apex, offset, where="row")
        return
    clip = cut(files, onset, apex, offset, where="row")
    assert numbers[clip.onset] == inside[0]
    assert numbers[clip.offset] == inside[-1]
    assert (numbers[clip.apex] == apex) if apex in inside else clip.apex == -1
