import pytest

from edge_fer.errors import EdgeFerError
from edge_fer.resources import resource_names
from edge_fer.sweep.check import plan
from edge_fer.sweep.request import read_sweep


def test_a_dotted_axis_may_be_written_with_and_without_quotes(write_sweep):
    quoted = read_sweep(write_sweep("[axes]", '"set.mixup" = [0, 0.2]'))
    bare = read_sweep(write_sweep("[axes]", "set.mixup = [0, 0.2]"))
    assert quoted.axes == bare.axes == {"set.mixup": (0, 0.2)}


def test_publictest_is_judged_on_unless_asked_otherwise(write_sweep):
    assert read_sweep(write_sweep()).test == "PublicTest"
    assert read_sweep(write_sweep('test = "PrivateTest"')).test == "PrivateTest"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (['modle = "arch-1"'], "unknown keys modle"),
        (["seed = 1.5"], "seed is 1.5; expected int"),
        (['test = "Training"'], "test 'Training' is not one of PublicTest, PrivateTest"),
        (['weights = "first"'], "weights 'first' is not one of best, last"),
        (['protocol = "p.json"', 'test = "PublicTest"'], "exclude each other"),
        (["cpus = 0"], "cpus must be above 0"),
        (["[axes]", "epochs = [1, 2]"], "no axis epochs"),
        (["[axes]", "seed = []"], "axis seed has to be a list of values"),
        (["[axes]", "seed = 3"], "axis seed has to be a list of values"),
        (["[axes]", "seed = [0, 1, 0]"], "axis seed lists 0 twice"),
        (["[axes]", 'seed = ["0"]'], "axis seed is '0'; expected int"),
        (["[axes]", 'fold = ["s1"]'], "a fold needs protocol"),
    ],
)
def test_a_file_that_says_something_else_is_refused_in_one_line(write_sweep, lines, message):
    file = write_sweep(*lines)
    with pytest.raises(EdgeFerError, match=message) as caught:
        read_sweep(file)
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


def test_a_model_and_data_are_needed(write_sweep):
    with pytest.raises(EdgeFerError, match="no model and no data"):
        read_sweep(write_sweep(head='schema = "edge-fer/sweep/1"\n'))
    with pytest.raises(EdgeFerError, match="schema is None"):
        read_sweep(write_sweep(head=""))
    with pytest.raises(EdgeFerError, match="not a readable sweep"):
        read_sweep(write_sweep("=", head=""))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["[axes]", 'model = ["tiny", "no-such"]'], "unknown model 'no-such'"),
        (["[axes]", 'recipe = ["modern", "no-such"]'], "no-such: no such file"),
        (["[axes]", "set.no_such = [1]"], "no setting 'no_such'"),
        (["[axes]", "set.epochs = [1, 0]"], "epochs must be above 0"),
        (["[axes]", "options.no_such = [1]"], "tiny has no option no_such"),
        (["[axes]", 'data = ["nothing:x"]'], "unknown dataset 'nothing'"),
        (["[axes]", 'data = ["fer2013:not-here.csv"]'], "not-here.csv: no such file"),
        (["[axes]", 'teachers = [["not-here.safetensors"]]'], "not-here.safetensors: no such"),
    ],
)
def test_what_is_named_and_not_there_is_refused_before_the_first_trial(write_sweep, lines, message):
    sweep = read_sweep(write_sweep(*lines))
    with pytest.raises(EdgeFerError, match=message) as caught:
        plan(sweep)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["arch-1_seeds", "megc2019_loso", "patt-lite_ablation"])
def test_the_shipped_sweeps_can_be_read(name):
    assert name in resource_names("sweep")
    from edge_fer.resources import find_resource

    assert read_sweep(find_resource("sweep", name)).axes["seed"]
