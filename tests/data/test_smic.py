import pytest

from edge_fer.data.clips import read_clip
from edge_fer.data.smic import read_smic
from edge_fer.errors import DataError


def frames(pictures, folder, count=3):
    return pictures([f"image{n}.bmp" for n in range(1, count + 1)], folder)


def test_a_folder_of_frames_is_a_clip(pictures):
    frames(pictures, "SMIC_all_cropped/HS/s1/micro/negative/s1_ne_01")
    frames(pictures, "SMIC_all_cropped/VIS/s11/micro/surprise/s11_sur_01", 12)
    frames(pictures, "SMIC_all_cropped/HS/s1/non_micro/s1_non_01")
    root = frames(pictures, "SMIC_all_cropped/HS/s1/micro/strange/s1_st_01")
    dataset = read_smic(root)
    found = {item.name: (item.subject, item.tags, item.label) for item in dataset.items}
    assert found == {
        "hs/s01/s1_ne_01": ("s01", ("hs",), 0),
        "vis/s11/s11_sur_01": ("s11", ("vis",), 2),
    }
    assert len(dataset.problems) == 1
    assert read_clip(dataset.items[1]).shape == (12, 8, 8)
    assert [file.stem for file in dataset.items[1].source.files][-3:] == [
        "image10",
        "image11",
        "image12",
    ]


def test_cropped_clips_go_before_the_originals(pictures):
    frames(pictures, "SMIC_all_raw/NIR/s01/micro/positive/s1_po_01")
    root = frames(pictures, "SMIC_all_cropped/NIR/s1/micro/positive/s1_po_01")
    (item,) = read_smic(root).items
    assert "SMIC_all_cropped" in str(item.source.files[0])
    assert read_smic(root / "SMIC_all_raw" / "NIR").items[0].tags == ("nir",)


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_a_path_without_clips_is_refused_by_name(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=name):
        read_smic(tmp_path / name)
