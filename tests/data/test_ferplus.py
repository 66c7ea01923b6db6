import numpy as np
import pytest

from edge_fer.data.fer2013 import SPLITS
from edge_fer.data.ferplus import read_ferplus
from edge_fer.errors import DataError
from edge_fer.labels import EXPRESSIONS, FER2013_LABELS, FERPLUS_COLUMNS

COLUMNS = [
    "neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt",
    "unknown", "NF",
]  # fmt: skip
VOTES_HEADER = "Usage,Image name," + ",".join(COLUMNS)
PIXELS = " ".join(["7"] * 48 * 48)
VOTES = [
    [0, 9, 1, 0, 0, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 10],
    [0, 0, 0, 0, 4, 0, 0, 5, 1, 0],
    [5, 0, 0, 5, 0, 0, 0, 0, 0, 0],
    [0, 2, 0, 0, 0, 0, 2, 0, 6, 0],
    [0, 0, 5, 0, 0, 0, 0, 0, 5, 0],
]


def images_csv(lines, count=6):
    return lines(
        "fer2013.csv",
        "emotion,pixels,Usage",
        *(f"0,{PIXELS},{SPLITS[i % 3]}" for i in range(count)),
    )


def votes_csv(lines, rows=VOTES):
    named = (f"Training,fer{i:07d}.png,{','.join(map(str, row))}" for i, row in enumerate(rows))
    return lines("fer2013new.csv", VOTES_HEADER, *named)


def npz(folder, **changes):
    count = len(VOTES)
    arrays = {
        "images": np.zeros((count, 48, 48), np.uint8),
        "labels": np.zeros(count, np.uint8),
        "usage": np.arange(count, dtype=np.uint8) % 3,
        "ferplus_votes": np.array(VOTES, np.uint8),
        "ferplus_columns": np.array(COLUMNS),
    }
    file = folder / "fer2013.npz"
    np.savez(file, **{k: v for k, v in (arrays | changes).items() if v is not None})
    return file


def label_names(dataset):
    return [dataset.label_names[item.label] for item in dataset.items]


def test_the_most_voted_class_wins_and_of_equals_the_first_column(lines):
    votes_csv(lines)
    dataset = read_ferplus(images_csv(lines))
    assert dataset.label_names == EXPRESSIONS
    assert label_names(dataset) == ["happy", "contempt", "neutral", "surprise"]
    assert [item.name for item in dataset.items] == [f"{i:07d} fer{i:07d}" for i in (0, 2, 3, 5)]
    assert [item.split for item in dataset.items] == [SPLITS[i % 3] for i in (0, 2, 3, 5)]


def test_votes_are_kept_in_the_order_of_the_vocabulary(lines):
    votes_csv(lines)
    item = read_ferplus(images_csv(lines)).items[1]
    assert dict(zip(EXPRESSIONS, item.votes, strict=True)) == dict.fromkeys(EXPRESSIONS, 0) | {
        "angry": 4,
        "contempt": 5,
    }


def test_rows_without_an_expression_are_counted_in_one_line(lines):
    votes_csv(lines, [*VOTES, [0] * 10])
    dataset = read_ferplus(images_csv(lines, len(VOTES) + 1).parent)
    assert dataset.problems == (
        "3 rows show no expression that most voted for: nf 1, unknown 1, without votes 1",
    )


def test_an_npz_gives_the_same_labels(tmp_path, lines):
    votes_csv(lines)
    expected = read_ferplus(images_csv(lines))
    (tmp_path / "npz").mkdir()
    found = read_ferplus(npz(tmp_path / "npz").parent)
    assert label_names(found) == label_names(expected)
    assert [item.votes for item in found.items] == [item.votes for item in expected.items]
    assert [item.name for item in found.items] == ["0000000", "0000002", "0000003", "0000005"]


def test_columns_of_an_npz_may_be_in_another_order(tmp_path):
    turned = {"ferplus_votes": np.array(VOTES)[:, ::-1], "ferplus_columns": np.array(COLUMNS[::-1])}
    dataset = read_ferplus(npz(tmp_path, **turned))
    assert label_names(dataset) == ["happy", "contempt", "neutral", "surprise"]


def test_a_votes_file_goes_before_the_votes_inside_an_npz_beside_it(tmp_path, lines):
    votes_csv(lines, [[0, 0, 0, 9, 1, 0, 0, 0, 0, 0]] * len(VOTES))
    npz(tmp_path)
    assert set(label_names(read_ferplus(tmp_path))) == {"sad"}
    assert set(label_names(read_ferplus(tmp_path / "fer2013.npz"))) != {"sad"}


def test_a_row_of_bad_votes_is_a_problem_and_moves_no_other(lines):
    votes_csv(lines, [["x", *VOTES[0][1:]], [-1] * 10, *VOTES[2:]])
    dataset = read_ferplus(images_csv(lines).parent)
    assert [item.name[:7] for item in dataset.items] == ["0000002", "0000003", "0000005"]
    assert "fer2013new.csv:2: neutral is 'x'" in dataset.problems[0]
    assert "fer2013new.csv:3: neutral is -1" in dataset.problems[1]


@pytest.mark.parametrize(
    ("votes", "tags"),
    [
        ([0, 6, 4, 0, 0, 0, 0, 0, 0, 0], ("majority",)),
        ([5, 0, 0, 5, 0, 0, 0, 0, 0, 0], ()),
        ([5, 0, 0, 4, 1, 0, 0, 0, 0, 0], ("majority",)),
        ([4, 1, 1, 1, 1, 1, 1, 0, 0, 0], ("majority",)),
        ([4, 0, 0, 2, 0, 0, 0, 0, 2, 0], ()),
        ([1, 0, 0, 0, 0, 0, 0, 0, 0, 0], ()),
    ],
)
def test_a_majority_is_more_than_half_of_the_votes_that_are_not_alone(lines, votes, tags):
    votes_csv(lines, [votes])
    (item,) = read_ferplus(images_csv(lines, 1)).items
    assert item.tags == tags


def test_hard_faces_are_tagged_and_unknown_ones_on_a_list_counted(lines):
    votes_csv(lines)
    lines("jianfei_occlusion_list.txt", "3_fer0000000.png", "4_fer0000002.png", "0_fer0000099.png")
    lines("pose_30_ferplus_list.txt", "3/fer0000002.jpg")
    dataset = read_ferplus(images_csv(lines))
    assert [item.tags for item in dataset.items[:3]] == [
        ("majority", "occlusion"),
        ("majority", "occlusion", "pose-30"),
        (),
    ]
    assert dataset.problems[-1].startswith("list occlusion: 1 images are not in the dataset")


def test_votes_for_another_number_of_images_are_refused(lines):
    votes_csv(lines, VOTES[:-1])
    with pytest.raises(DataError, match="6 images, but votes for 5"):
        read_ferplus(images_csv(lines))


@pytest.mark.parametrize(
    "changes",
    [
        {"ferplus_votes": None},
        {"ferplus_votes": np.zeros((6, 9), np.uint8)},
        {"ferplus_columns": np.array(["a"] * 10)},
        {"ferplus_votes": np.array([None])},
    ],
)
def test_an_npz_without_its_votes_is_refused_by_name(tmp_path, changes):
    with pytest.raises(DataError, match=r"fer2013\.npz"):
        read_ferplus(npz(tmp_path, **changes))


def test_missing_files_are_named(tmp_path, lines):
    with pytest.raises(DataError, match=r"fer2013new\.csv"):
        read_ferplus(images_csv(lines))
    with pytest.raises(DataError, match="nowhere"):
        read_ferplus(tmp_path / "nowhere")
    (tmp_path / "fer2013.csv").unlink()
    votes_csv(lines)
    with pytest.raises(DataError, match=r"fer2013\.csv"):
        read_ferplus(tmp_path)


@pytest.mark.data
def test_the_real_votes_belong_to_their_rows(fer2013_file):
    with np.load(fer2013_file) as arrays:
        votes, labels = arrays["ferplus_votes"], arrays["labels"]
    voted = np.array(FERPLUS_COLUMNS)[votes.argmax(1)]
    own = np.array(FER2013_LABELS)[labels]
    assert (voted == own).mean() == pytest.approx(0.623, abs=5e-4)
    assert (np.roll(voted, 1) == own).mean() == pytest.approx(0.18, abs=0.01)


@pytest.mark.data
def test_the_real_labels_agree_with_fer2013_row_by_row(fer2013_file):
    dataset = read_ferplus(fer2013_file)
    splits = [item.split for item in dataset.items]
    assert [splits.count(split) for split in SPLITS] == [28_389, 3_553, 3_546]
    agreed = [item.split for item in dataset.items if "majority" in item.tags]
    assert [agreed.count(split) for split in SPLITS] == [25_060, 3_199, 3_153]
    with np.load(fer2013_file) as arrays:
        own = [FER2013_LABELS[label] for label in arrays["labels"]]
    same = [own[int(item.name[:7])] == EXPRESSIONS[item.label] for item in dataset.items]
    assert np.mean(same) == pytest.approx(0.63, abs=0.01)
